"""The workers of `--strategy multi_worker`, and a line of words between them. No TensorFlow here.

TensorFlow carries sums between workers, and notices within seconds when one is gone; it cannot say who still has to
come, whose settings differ or why somebody ended. So each worker also keeps one TCP connection to the first, on the
address that TF_CONFIG gives that one. It is made before TensorFlow listens there, and the kernel closes it when a
process dies. Messages are lines of JSON.
"""

import contextlib
import dataclasses
import json
import os
import queue
import re
import select
import socket
import threading
import time
from collections.abc import Iterator

from kgan import console
from kgan.errors import RunError, UserError

PATIENCE = 600.0
"""Seconds that a worker waits for the others to start: containers and queues take minutes."""

FIRST_WORD = 5.0
"""Seconds that whoever has connected may take to say who it is."""

WAIT, COMPLETE = {"state": "wait"}, {"state": "complete"}
"""What the chief says to a worker that has come, and when all have."""

EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Members:
    """All workers' addresses, "host:port", the chief's first; and which of them this process is."""

    addresses: tuple[str, ...] = ("",)
    index: int = 0

    def name(self, index: int) -> str:
        """A worker as the user knows it."""
        return f"worker {index} ({self.addresses[index]})"


def from_environment() -> Members:
    """The cluster that TF_CONFIG describes; a chief counts as the first worker. UserError if it makes no sense."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise UserError(f"--strategy multi_worker: set TF_CONFIG for every worker, as in {EXAMPLE}")
    try:
        return _parsed(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise UserError(f"TF_CONFIG: {reason}; it should look like {EXAMPLE}") from None


def _parsed(config: dict) -> Members:
    jobs, task = config["cluster"], config["task"]
    unknown = sorted(set(jobs) - {"chief", "worker"})
    if unknown:
        raise ValueError(f"{unknown[0]} is no job of kgan's, which has worker (and chief)")
    chiefs, workers = list(jobs.get("chief", [])), list(jobs.get("worker", []))
    kind, index = task["type"], int(task["index"])
    if kind not in jobs or not 0 <= index < len(jobs[kind]):
        raise ValueError(f"the cluster has no task {kind} {index}")
    addresses = [*chiefs, *workers]
    for address in addresses:
        _split(address)
        if addresses.count(address) > 1:
            raise ValueError(f"{address} stands there twice")
    return Members(tuple(addresses), index + (len(chiefs) if kind == "worker" else 0))


def _split(address: str) -> tuple[str, int]:
    """(host, port) of "host:port" or "[::1]:port"."""
    host, colon, port = str(address).rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{address!r} should be HOST:PORT")
    return host.strip("[]"), int(port)


class Cluster:
    """The workers that train together, from `joined` on. With one member everything is trivially agreed upon.

    Attributes:
        advice: what the user should do after a worker was lost.
        loss: why the workers cannot go on, once that is known.
    """

    def __init__(self, members: Members | None = None):
        self.members = members or Members()
        self.index, self.size = self.members.index, len(self.members.addresses)
        self.is_chief = self.index == 0
        self.advice = "start all workers again"
        self.loss: UserError | None = None
        self._lines: dict[int, _Line] = {}
        self._lock = threading.Lock()
        self._leaving = False

    @contextlib.contextmanager
    def joined(self, settings: dict) -> Iterator[None]:
        """Wait until all workers are there, with equal settings; inside, a lost worker is noticed.

        An error that leaves the `with` is told to the other workers. Raises UserError, RunError.
        """
        try:
            if self.size > 1:
                sockets = _gathered(self.members, settings) if self.is_chief else {0: _entered(self.members, settings)}
                self._lines = {index: _Line(connection) for index, connection in sockets.items()}
                for index, line in self._lines.items():
                    threading.Thread(target=self._listen, args=(index, line), daemon=True).start()
            yield
        except BaseException as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            self._leave(f"{self.members.name(self.index)} ended: {reason}", getattr(error, "status", 1))
            raise
        self._leave()

    def agree(self, what: str, value) -> list:
        """Every worker's value, in their order, once all have called this; `value` must be JSON."""
        if self.size == 1:
            return [value]
        said = {"what": what, "value": value}
        if not self.is_chief:
            self._tell(said)
            return self._heard(0, what)
        values = [value, *(self._heard(index, what) for index in sorted(self._lines))]
        self._tell({"what": what, "value": values})
        return values

    def agree_equal(self, what: str, value) -> None:
        """UserError on every worker where one has another value than the chief."""
        values = self.agree(what, value)
        for index, other in enumerate(values):
            if other != values[0]:
                raise UserError(
                    f"{self.members.name(index)} has {what} {other}, {self.members.name(0)} has {values[0]}"
                )

    def why(self, error: Exception) -> UserError:
        """What ended the workers' common work, after TensorFlow gave up on it with `error`."""
        end = time.monotonic() + FIRST_WORD  # a connection breaks at about the same time
        while self.loss is None and time.monotonic() < end:
            time.sleep(0.05)
        text = str(getattr(error, "message", error)).strip()
        named = re.search(r"reported from /job:worker/task:(\d+)", text)
        who = self.members.name(int(named[1])) if named else "a worker"
        reason = "" if named else f" ({text.splitlines()[0]})"
        return self.loss or RunError(f"{who} does not answer any more{reason}; {self.advice}")

    # --- the line -------------------------------------------------------------------------------------------------

    def _tell(self, message: dict) -> None:
        for line in self._lines.values():
            line.send(message)

    def _heard(self, index: int, what: str):
        # What came before a loss still counts: the chief leaves as soon as it has said the last word.
        message = self._lines[index].inbox.get()
        if message is None:
            self._lines[index].inbox.put(None)
            raise self.loss
        if message["what"] != what:
            raise RunError(f"{self.members.name(index)} is at {message['what']!r}, this one at {what!r}; {self.advice}")
        return message["value"]

    def _listen(self, index: int, line: "_Line") -> None:
        """What a thread does for a line: hand over messages, notice its end."""
        for message in line.messages():
            if "over" in message:
                return self._lost(message["over"], message["status"])
            line.inbox.put(message)
        self._lost(f"{self.members.name(index)} is gone; {self.advice}", RunError.status)

    def _lost(self, reason: str, status: int) -> None:
        with self._lock:
            if self.loss or self._leaving:
                return
            self.loss = UserError(reason) if status == UserError.status else RunError(reason)
        self._tell({"over": reason, "status": status})
        for line in self._lines.values():
            line.inbox.put(None)

    def _leave(self, reason: str | None = None, status: int = 0) -> None:
        """Close the lines; the others learn the reason, unless it came from them."""
        with self._lock:
            self._leaving = True
        if reason and self.loss is None:
            self._tell({"over": reason, "status": status})
        for line in self._lines.values():
            line.close()
        self._lines = {}


class _Line:
    """One connection; `inbox` has the messages that came, None for the end."""

    def __init__(self, connection: socket.socket):
        connection.settimeout(None)
        _keep_alive(connection)
        self.connection, self.inbox, self._sending = connection, queue.Queue(), threading.Lock()

    def send(self, message: dict) -> None:
        with self._sending, contextlib.suppress(OSError):  # who listens to the line finds out
            self.connection.sendall(_encoded(message))

    def messages(self) -> Iterator[dict]:
        with contextlib.suppress(OSError, ValueError), self.connection.makefile(encoding="utf-8") as file:
            yield from map(json.loads, file)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def _encoded(message: dict) -> bytes:
    return (json.dumps(message) + "\n").encode()


def _keep_alive(connection: socket.socket) -> None:
    """The kernel asks the other machine after 10 s of silence, and calls the connection broken after 30."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30000}.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


# --- coming together --------------------------------------------------------------------------------------------------


def _listening(members: Members) -> socket.socket:
    """A socket on this worker's port, on all interfaces; TensorFlow can have the port once it is closed."""
    port = _split(members.addresses[members.index])[1]
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both, backlog=128
        )
    except OSError as error:
        reason = f"cannot listen on port {port} ({error.strerror})"
        raise UserError(f"{members.name(members.index)} {reason}; is another training running here?") from None


def _gathered(members: Members, settings: dict) -> dict[int, socket.socket]:
    """On the chief: a connection of every other worker."""
    joined, end = {}, time.monotonic() + PATIENCE
    with _listening(members) as door:
        told = None
        while missing := [index for index in range(1, len(members.addresses)) if index not in joined]:
            if missing != told:
                console.say(
                    f"kgan: waiting for {len(missing)} of {len(members.addresses)} workers: {_names(members, missing)}"
                )
                told = missing
            ready = select.select([door, *joined.values()], [], [], max(0.0, end - time.monotonic()))[0]
            if not ready:
                raise RunError(f"{_names(members, missing)} did not come within {PATIENCE / 60:.0f} min; "
                               "start all workers again")  # fmt: skip
            # Nobody speaks before all are there: who is ready has ended, and may come again.
            joined = {index: connection for index, connection in joined.items() if connection not in ready}
            if door in ready:
                _let_in(door.accept()[0], members, settings, joined)
    for connection in joined.values():
        connection.sendall(_encoded(COMPLETE))
    return joined


def _names(members: Members, indices: list[int]) -> str:
    more = len(indices) - 3
    return ", ".join(members.name(index) for index in indices[:3]) + (f" and {more} more" if more > 0 else "")


def _let_in(connection: socket.socket, members: Members, settings: dict, joined: dict) -> None:
    """Take a worker in, or tell it why not; UserError if that concerns all."""
    try:
        hello = _first_line(connection)
        index, addresses, theirs = hello["index"], tuple(hello["addresses"]), hello["settings"]
    except (OSError, ValueError, KeyError, TypeError):  # a port scan, a health check
        connection.close()
        return
    refusal = _difference(members, index, addresses, settings, theirs)
    if refusal or index in joined:
        twice = f"{members.name(index)} has joined already: another process has the same index in its TF_CONFIG"
        with contextlib.suppress(OSError):
            connection.sendall(_refusal(refusal or twice))
        connection.close()
        if refusal:
            for other in joined.values():
                with contextlib.suppress(OSError):
                    other.sendall(_refusal(refusal))
            raise UserError(refusal)
        return
    connection.sendall(_encoded(WAIT))
    joined[index] = connection


def _refusal(reason: str) -> bytes:
    return _encoded({"over": reason, "status": UserError.status})


def _difference(members: Members, index: int, addresses: tuple, ours: dict, theirs: dict) -> str | None:
    """How a worker that comes differs from the chief."""
    if addresses != members.addresses:
        return f"worker {index}'s TF_CONFIG has the workers {', '.join(addresses)}, not {', '.join(members.addresses)}"
    for name in ours:
        if theirs.get(name) != ours[name]:
            flag = name.replace("_", "-")
            return (f"{members.name(index)} has --{flag} {theirs.get(name)}, {members.name(0)} has {ours[name]}; "
                    "start all workers by the same command")  # fmt: skip
    return None


def _entered(members: Members, settings: dict) -> socket.socket:
    """On another worker: the connection to the chief, once all workers are there."""
    _listening(members).close()  # is the port free?
    chief, end, told = members.name(0), time.monotonic() + PATIENCE, False
    while True:
        try:
            return _asked(members, settings, max(FIRST_WORD, end - time.monotonic()))
        except (OSError, ValueError) as error:  # not there yet, not kgan, or gone again
            reason = getattr(error, "strerror", None) or "no answer"
        if time.monotonic() > end:
            raise RunError(
                f"{chief} cannot be reached within {PATIENCE / 60:.0f} min ({reason}); start all workers again"
            )
        if not told:
            console.say(f"kgan: worker {members.index} of {len(members.addresses)} is waiting for {chief}")
            told = True
        time.sleep(0.5)


def _asked(members: Members, settings: dict, patience: float) -> socket.socket:
    """One attempt to come in: OSError, ValueError if it fails, UserError if the chief refuses."""
    connection = socket.create_connection(_split(members.addresses[0]), timeout=FIRST_WORD)
    try:
        connection.sendall(_encoded({"index": members.index, "addresses": members.addresses, "settings": settings}))
        for state, seconds in ((WAIT, FIRST_WORD), (COMPLETE, patience)):
            answer = _first_line(connection, seconds)
            if "over" in answer:
                raise UserError(answer["over"])
            if answer != state:
                raise ValueError("another protocol")
    except BaseException:
        connection.close()
        raise
    return connection


def _first_line(connection: socket.socket, seconds: float = FIRST_WORD) -> dict:
    """The next line, one JSON object; ValueError for anything else."""
    connection.settimeout(seconds)
    received = b""
    while not received.endswith(b"\n"):
        part = connection.recv(1)  # not a byte of what comes after
        if not part or len(received) > 2**20:
            raise ValueError("no line")
        received += part
    message = json.loads(received)
    if not isinstance(message, dict):
        raise ValueError("no object")
    return message
