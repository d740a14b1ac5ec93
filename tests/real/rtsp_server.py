"""An RTSP server for tests. Run by the system's Python (/usr/bin/python3), which has GStreamer; no test imports it.

Says `ready PORT` on stdout when it listens. Reads commands from stdin, one a line, and answers `done`:

    pause             no more packets are sent; connections, answers and RTCP go on (a frozen camera)
    resume
    resize 320x240    the picture changes its size in mid-stream
    quit
"""

from __future__ import annotations

import argparse
import sys
import threading

import gi  # type: ignore[import-not-found,unused-ignore]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # type: ignore[import-not-found,unused-ignore]  # noqa: E402
    Gio,
    GLib,
    Gst,
    GstRtsp,
    GstRtspServer,
)

# One thread: with several slices, rtph264pay repeats the parameter sets inside a picture, which decoders take as two.
ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=800 threads=1",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 bitrate=800",
}
ROLE = "viewer"
PAYLOADERS = {"h264": "rtph264pay", "h265": "rtph265pay"}


class Server:
    """One mount point, /live, shared by all clients."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.paused = False
        self.packets = 0
        self.size = "640x360"
        self.sizes: list[Gst.Element] = []
        self.rtsp = GstRtspServer.RTSPServer()
        self.rtsp.set_address("127.0.0.1")
        self.rtsp.set_service(str(options.port))
        if options.auth or options.certificate:
            self.rtsp.set_auth(self.auth())
        self.rtsp.get_mount_points().add_factory("/live", self.factory())

    def factory(self) -> GstRtspServer.RTSPMediaFactory:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(self.launch())
        factory.set_shared(True)
        factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP)
        if self.options.auth or self.options.certificate:
            role = Gst.Structure.new_empty(ROLE)
            for right in ("media.factory.access", "media.factory.construct"):
                role.set_value(right, True)
            factory.add_role_from_structure(role)
        factory.connect("media-configure", self.configure)
        return factory

    def launch(self) -> str:
        pay = f"{PAYLOADERS[self.options.codec]} name=pay0 pt=96 config-interval=-1 mtu=1200"
        sound = (
            "audiotestsrc is-live=true wave=sine ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1"
        )
        sound = sound if self.options.sound else ""
        if self.options.pictures:
            source = (
                f"multifilesrc location={self.options.pictures}/%05d.jpg loop=true caps=image/jpeg,framerate=25/1 "
                f"! jpegdec ! identity sync=true ! videoconvert ! videoscale ! capsfilter name=size caps="
                f"{caps(self.size)} ! {ENCODERS[self.options.codec]}"
            )
        else:
            source = (
                f"videotestsrc is-live=true pattern={self.options.pattern} ! videoconvert ! capsfilter name=size caps="
                f"{caps(self.size)} ! {ENCODERS[self.options.codec]}"
            )
        return f"( {source} ! {pay} {sound} )"

    def auth(self) -> GstRtspServer.RTSPAuth:
        auth = GstRtspServer.RTSPAuth()
        if self.options.certificate:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(self.options.certificate))
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", ROLE)
        if self.options.auth:
            user, _, password = self.options.user.partition(":")
            if self.options.auth == "digest":
                auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
                auth.add_digest(user, password, token)
            else:
                auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        else:
            auth.set_default_token(token)
        return auth

    def configure(self, _: object, media: GstRtspServer.RTSPMedia) -> None:
        pipeline = media.get_element()
        payloader = pipeline.get_by_name("pay0")
        pad = payloader.get_static_pad("src")
        pad.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self.packet)
        size = pipeline.get_by_name("size")
        if size is not None:
            size.set_property("caps", Gst.Caps.from_string(caps(self.size)))
            self.sizes = [size]

    def packet(self, pad: Gst.Pad, info: Gst.PadProbeInfo) -> Gst.PadProbeReturn:
        if self.paused:
            return Gst.PadProbeReturn.DROP
        if not info.type & Gst.PadProbeType.BUFFER_LIST:
            return self.one_packet()
        if not self.options.lose_every:
            return Gst.PadProbeReturn.OK
        packets = info.get_buffer_list()
        for index in range(packets.length()):
            pad.push(packets.get(index))  # comes through here again, alone
        return Gst.PadProbeReturn.DROP

    def one_packet(self) -> Gst.PadProbeReturn:
        self.packets += 1
        lost = self.options.lose_every and self.packets % self.options.lose_every == 0
        return Gst.PadProbeReturn.DROP if lost else Gst.PadProbeReturn.OK

    def obey(self, line: str, loop: GLib.MainLoop) -> bool:
        word, _, argument = line.partition(" ")
        if word == "pause":
            self.paused = True
        elif word == "resume":
            self.paused = False
        elif word == "resize":
            self.size = argument
            for size in self.sizes:
                size.set_property("caps", Gst.Caps.from_string(caps(argument)))
        elif word == "quit":
            loop.quit()
        say("done")
        return False


def caps(size: str) -> str:
    width, height = size.split("x")
    return f"video/x-raw,format=I420,width={width},height={height},framerate=25/1"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def read_commands(server: Server, loop: GLib.MainLoop) -> None:
    for line in sys.stdin:
        GLib.idle_add(server.obey, line.strip(), loop)
    GLib.idle_add(loop.quit)  # the test is gone


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--codec", choices=["h264", "h265"], default="h264")
    parser.add_argument("--auth", choices=["basic", "digest"])
    parser.add_argument("--user", default="user:pass")
    parser.add_argument("--certificate", help="PEM with key: serve rtsps")
    parser.add_argument("--lose-every", type=int, default=0, help="drop every Nth RTP packet of the picture")
    parser.add_argument("--pattern", default="ball", help="of videotestsrc; snow needs several packets a picture")
    parser.add_argument("--pictures", help="a folder of 00000.jpg and so on, shown over and over")
    parser.add_argument("--sound", action="store_true")
    options = parser.parse_args()
    Gst.init(None)
    loop = GLib.MainLoop()
    server = Server(options)
    if server.rtsp.attach(None) == 0:
        sys.exit("cannot listen")
    say(f"ready {server.rtsp.get_bound_port()}")
    threading.Thread(target=read_commands, args=(server, loop), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
