"""Every error that StreamGuard raises, under one root. Foreign errors are wrapped once, where they enter.

StreamGuardError
|- ConfigError                a setting is wrong: names the key
|- MissingPackageError        an optional package is not installed: names the pip line
|- AssetError                 a model file could not be had: names the file and what to do offline
|  `- AssetHashError          it was had, and it is not the file we trust
|- BundleError                a bundle is not what it must be: names the file and the field
|- CheckpointError            a file of trained weights is not what it must be: names the tensor
|- TraceError                 a file of traces cannot be used: names the file and the line
|- DataError                  footage, its index or its cut faces are not what they must be: names the file
|- TrainingError              training cannot go on: names the step
|- CalibrationError           scores cannot become probabilities and verdicts: says why, and what would do
|  `- BudgetError             so little footage cannot show that the budget is kept: says how much would
|- EngineError                a backend cannot be opened, or failed on its work
|  `- OverloadedError         no room for another stream: faces are scored too rarely already
|- PictureError               pixels of an impossible shape, size or type, or with an impossible time
|- SourceError                a source cannot give frames: names the (redacted) url
|  |- SourceUnreachable       nobody answers at that host and port
|  |- SourceTimeout           somebody answered, then nothing came
|  |- SourceNotFound          the file, path or stream does not exist there
|  |- SourceAuthFailed        user or password refused
|  |- SourceTLSFailed         the encrypted connection could not be trusted or made
|  |- CodecUnsupported        no decoder for what it sends
|  |- NoVideo                 there is sound or data, but no picture
|  |- CorruptMedia            it cannot be decoded
|  `- SourceAbandoned         too many decoder threads hang on it: no more are started
|     `- SourceHeldBack       too many of the whole process hang: it is opened later
|- EventFormatError           an event cannot be written, or what was read is none: names the field
|- SinkError                  events or pictures cannot be written: names the target
|  `- SinkFullError           no space is left there
`- ClosedError                used after close()
"""

from __future__ import annotations


class StreamGuardError(Exception):
    """Root of all errors of this package. `code` is stable and appears in events; the text is for people."""

    code = "INTERNAL"


class ConfigError(StreamGuardError):
    """A setting is out of its range or does not exist."""

    code = "CONFIG"

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(key, problem)
        self.key = key
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}"


class MissingPackageError(StreamGuardError):
    """An optional package is needed for what was asked."""

    code = "MISSING_PACKAGE"

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        super().__init__(package, extra, needed_for)
        self.package = package
        self.extra = extra
        self.needed_for = needed_for

    def __str__(self) -> str:
        return f"{self.needed_for} needs {self.package}: pip install 'streamguard[{self.extra}]'"


class AssetError(StreamGuardError):
    """A model file is missing and could not be fetched."""

    code = "ASSET"

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        super().__init__(name, problem, remedy)
        self.name = name
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}. {self.remedy}"


class AssetHashError(AssetError):
    """A file's sha256 is not the one pinned in this package."""

    code = "ASSET_HASH"


class BundleError(StreamGuardError):
    """A bundle is refused. `where` is the file, or the manifest's field, that is wrong."""

    code = "BUNDLE"

    def __init__(self, bundle: str, where: str, problem: str) -> None:
        super().__init__(bundle, where, problem)
        self.bundle = bundle
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        where = f", {self.where}" if self.where else ""
        return f"bundle {self.bundle}{where}: {self.problem}"


class CheckpointError(StreamGuardError):
    """A file of trained weights is refused. `where` is the tensor, or the part of the file, that is wrong."""

    code = "CHECKPOINT"

    def __init__(self, path: str, where: str, problem: str) -> None:
        super().__init__(path, where, problem)
        self.path = path
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        where = f", {self.where}" if self.where else ""
        return f"checkpoint {self.path}{where}: {self.problem}"


class TraceError(StreamGuardError):
    """What an evaluation kept of a network's scores cannot be used. `where` is the line, or what is wrong in it."""

    code = "TRACE"

    def __init__(self, path: str, where: str, problem: str) -> None:
        super().__init__(path, where, problem)
        self.path = path
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        where = f", {self.where}" if self.where else ""
        return f"traces {self.path}{where}: {self.problem}"


class DataError(StreamGuardError):
    """Footage for training or evaluation, its index or its cut faces cannot be used. `where` is the file or folder."""

    code = "DATA"

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class TrainingError(StreamGuardError):
    """Training cannot go on. Says at which step, and what to try."""

    code = "TRAINING"


class CalibrationError(StreamGuardError):
    """Raw scores cannot be made into probabilities and verdicts from this data. `what` cannot be done, or is wrong."""

    code = "CALIBRATION"

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(what, problem)
        self.what = what
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.what}: {self.problem}"


class BudgetError(CalibrationError):
    """No detector could show on this data that it keeps to the budget. The problem says how much data would do."""

    code = "BUDGET"


class EngineError(StreamGuardError):
    """A backend cannot be opened here, or failed on its work. Says which one, and what to try."""

    code = "ENGINE"

    def __init__(self, backend: str, problem: str) -> None:
        super().__init__(backend, problem)
        self.backend = backend
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.backend}: {self.problem}"


class OverloadedError(EngineError):
    """Another stream would make the faces of all streams be scored too rarely."""

    code = "OVERLOADED"


class PictureError(StreamGuardError):
    """An array cannot be a picture, or its time is none. Says what was given and what is accepted."""

    code = "PICTURE"


class SourceError(StreamGuardError):
    """A source cannot give frames. `url` is already redacted; `detail` is the decoder's own word."""

    code = "SOURCE"
    what = "cannot be read"
    remedy = "Try it with: ffprobe URL"
    permanent = False
    """True if trying again cannot help (a file that does not exist, a codec we lack)."""

    def __init__(self, url: str, detail: str = "") -> None:
        super().__init__(url, detail)
        self.url = url
        self.detail = detail

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.url} {self.what}{detail}. {self.remedy}"


class SourceUnreachable(SourceError):
    """Nobody answers at that host and port."""

    code = "UNREACHABLE"
    what = "does not answer"
    remedy = "Check host, port and firewall"


class SourceTimeout(SourceError):
    """Somebody answered, then nothing came."""

    code = "TIMEOUT"
    what = "accepted the connection and then sent nothing in time"
    remedy = "Check that the camera is streaming; raise sources.open_timeout_s if it is only slow"


class SourceDisconnected(SourceError):
    """A stream that was running ended without saying so."""

    code = "DISCONNECTED"
    what = "was streaming and hung up"
    remedy = "It is opened again by itself; check the camera's uptime and network if this goes on"


class SourceNotFound(SourceError):
    """The file, path or stream does not exist there."""

    code = "NOT_FOUND"
    what = "does not exist"
    remedy = "Check the path"


class SourceAuthFailed(SourceError):
    """User name or password refused."""

    code = "AUTH_FAILED"
    what = "refused the user name or password"
    remedy = "Give them in the URL (scheme://user:password@host); they are never logged"


class SourceTLSFailed(SourceError):
    """The encrypted connection could not be trusted or made."""

    code = "TLS_FAILED"
    what = "could not be trusted or reached over TLS"
    remedy = "Name the camera's CA file in sources.tls_ca_file, or set sources.tls_verify to false to accept any"


class CodecUnsupported(SourceError):
    """No decoder for what it sends."""

    code = "CODEC_UNSUPPORTED"
    what = "sends a codec or protocol that this build of FFmpeg cannot read"
    remedy = "Run: streamguard doctor"
    permanent = True


class NoVideo(SourceError):
    """There is sound or data, but no picture."""

    code = "NO_VIDEO"
    what = "has no video stream"
    remedy = "StreamGuard looks at faces: give it a source with a picture"
    permanent = True


class CorruptMedia(SourceError):
    """It sends something that cannot be decoded."""

    code = "CORRUPT"
    what = "cannot be decoded"
    remedy = "Try it with: ffprobe URL"


class SourceAbandoned(SourceError):
    """Too many decoder threads hang on it: no more are started."""

    code = "ABANDONED"
    what = "hangs inside the decoder again and again; no further decoder thread is started"
    remedy = "Remove the stream, or restart the process"
    permanent = True


class SourceHeldBack(SourceAbandoned):
    """Too many decoder threads of the whole process hang, perhaps on other streams: it is opened later."""

    what = "is not opened for now: too many decoder threads of this process hang"
    remedy = "It is tried again by itself; restart the process if this goes on"
    permanent = False


class EventFormatError(StreamGuardError):
    """An event cannot be written as protobuf or JSON, or what was read is no event of this version."""

    code = "EVENT_FORMAT"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        """Dotted path of the field, such as `kind.score.quality.size_px`; empty if it is the whole message."""
        self.problem = problem

    def __str__(self) -> str:
        return f"event field {self.field}: {self.problem}" if self.field else f"event: {self.problem}"


class SinkError(StreamGuardError):
    """Events or pictures could not be written where they should go."""

    code = "SINK"

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(target, problem)
        self.target = target
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.target}: {self.problem}"


class SinkFullError(SinkError):
    """No space is left. What was written before is whole."""

    code = "SINK_FULL"


class ClosedError(StreamGuardError):
    """Something was used after its close()."""

    code = "CLOSED"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} is closed"
