"""What may go wrong between a client and a server. Each is one line for the user; the class says what to do."""

from kgan.errors import UserError, counted


class ServingError(UserError):
    """The server could not do what was asked. Exit status 2: something given is wrong."""


class ServerAway(ServingError):
    """Nobody answers at that address, or the server is not ready. Worth another try later. Exit status 1."""

    status = 1


class TimedOut(ServingError):
    """No answer within the time allowed. Exit status 1."""

    status = 1


class ModelUnknown(ServingError):
    """The server has no model, version, label or signature of that name."""


class TooLarge(ServingError):
    """A request or a reply is larger than client or server allow."""


class RequestRefused(ServingError):
    """The server understood the request and will not have it: its shape, its kind, its content."""


class ServerFailed(ServingError):
    """The server broke down over the request, or what answers is no TensorFlow Serving. Exit status 1."""

    status = 1


class PicturesRefused(ServingError):
    """Some pictures of a request were refused; the others are done.

    `reasons`: {index: why}. `results`: PNG bytes by index, None where refused.
    """

    def __init__(self, reasons: dict[int, str], results: list[bytes | None]):
        told = "; ".join(f"picture {index}: {reason}" for index, reason in sorted(reasons.items()))
        super().__init__(f"{len(reasons)} of {counted(len(results), 'picture')} were refused: {told}")
        self.reasons, self.results = reasons, results


def one_line(text: object) -> str:
    """What a server says, without its line breaks; TensorFlow adds lines of graph nodes."""
    return " ".join(str(text).split())
