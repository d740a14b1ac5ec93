"""StreamGuard: tells, face by face and within a second or two, whether a face in live video is being faked."""

__version__ = "0.1.0"
