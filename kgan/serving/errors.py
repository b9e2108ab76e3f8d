"""Errors of a request to a server. Each has a message of one line for the user."""

from kgan.errors import UserError, counted


class ServingError(UserError):
    """A request failed because of the user's input. The exit status is 2."""


class ServerAway(ServingError):
    """The server takes no request now: it does not run, is not ready, has too much to do, or a proxy limits the rate.

    A later request may succeed. The exit status is 1.
    """

    status = 1


class TimedOut(ServingError):
    """The server did not answer in time. The exit status is 1."""

    status = 1


class ModelUnknown(ServingError):
    """The server does not have the model, the version, the label or the signature."""


class TooLarge(ServingError):
    """A request or a reply is larger than the client or the server allows."""


class RequestRefused(ServingError):
    """The server refuses the shape, the type or the content of the request."""


class ServerFailed(ServingError):
    """The server failed, or it is not TensorFlow Serving. The exit status is 1."""

    status = 1


class PicturesRefused(ServingError):
    """The server refused some pictures of a request. The others are done.

    Attributes:
        reasons: the reason for each refused picture, by its index.
        results: for each picture the bytes of a PNG file, or None if it was refused.
    """

    def __init__(self, reasons: dict[int, str], results: list[bytes | None]):
        listed = "; ".join(f"picture {index}: {reason}" for index, reason in sorted(reasons.items()))
        super().__init__(f"{len(reasons)} of {counted(len(results), 'picture')} were refused: {listed}")
        self.reasons, self.results = reasons, results


def one_line(text: object) -> str:
    """A server's message without line breaks. TensorFlow's messages contain lines with graph nodes."""
    return " ".join(str(text).split())
