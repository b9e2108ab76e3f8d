"""Connections between the workers of `--strategy multi_worker`. This module does not import TensorFlow.

TensorFlow adds gradients over the workers. It does not report which workers are missing at the start, whose settings
differ, or why a worker ended, and it waits long for one that is lost. So each worker also keeps a TCP
connection to the first worker, the chief, on the chief's address in TF_CONFIG. The connection is made before TensorFlow
listens on that address, and the kernel closes it when a process dies. Messages are lines of JSON.
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
from collections.abc import Callable, Iterator

from kgan import console
from kgan.errors import RunError, UserError

PATIENCE = 600.0
"""Seconds that a worker waits for the others to start. Containers and job queues take minutes."""

HELLO_TIMEOUT = 5.0
"""Seconds within which a new connection must send its first message."""

WAIT, COMPLETE = {"state": "wait"}, {"state": "complete"}
"""Messages of the chief: to a worker that has connected, and to all workers when all have connected."""

EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Members:
    """The workers of a cluster.

    Attributes:
        addresses: "host:port" of each worker. The first is the chief.
        index: number of this process in the list.
    """

    addresses: tuple[str, ...] = ("",)
    index: int = 0

    def name(self, index: int) -> str:
        """The name of a worker in messages."""
        return f"worker {index} ({self.addresses[index]})"


def from_environment() -> Members:
    """Read the cluster from the environment variable TF_CONFIG. A task "chief" becomes the first worker.

    Returns:
        The workers.

    Raises:
        UserError: if TF_CONFIG is missing or wrong.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise UserError(f"--strategy multi_worker: set TF_CONFIG for every worker, as in {EXAMPLE}")
    try:
        return _parsed(json.loads(text))
    except UserError:
        raise
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
    """Split "host:port" or "[::1]:port" into (host, port)."""
    host, colon, port = str(address).rpartition(":")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{address!r} should be HOST:PORT")
    return host.strip("[]"), int(port)


class Cluster:
    """The workers that train together. They are connected inside `joined`.

    A cluster of one worker has no connections, and its methods return at once.

    Args:
        members: the workers. Default: one worker.

    Attributes:
        advice: what the user should do after a worker is lost.
        loss: the error after which the workers cannot continue, or None.
        abort: is called with the reason of a loss, in another thread, to end what TensorFlow is waiting for.
    """

    def __init__(self, members: Members | None = None):
        self.members = members or Members()
        self.index, self.size = self.members.index, len(self.members.addresses)
        self.is_chief = self.index == 0
        self.advice = "start all workers again"
        self.loss: UserError | None = None
        self.abort: Callable[[str], None] = lambda reason: None
        self._connections: dict[int, _Connection] = {}
        self._lock = threading.Lock()
        self._leaving = False

    @contextlib.contextmanager
    def joined(self, settings: dict) -> Iterator[None]:
        """A context in which all workers are connected and a lost worker is noticed.

        It first waits until all workers have started with equal settings. An error that leaves the context is sent to
        the other workers.

        Args:
            settings: the settings that must be equal on all workers, as JSON values.

        Raises:
            UserError: if settings or addresses differ, or the port is in use.
            RunError: if a worker does not start in time.
        """
        try:
            if self.size > 1:
                connect = _accept_workers if self.is_chief else _connect_to_chief
                sockets = connect(self.members, settings)
                self._connections = {index: _Connection(connection) for index, connection in sockets.items()}
                for index, connection in self._connections.items():
                    threading.Thread(target=self._listen, args=(index, connection), daemon=True).start()
            yield
        except BaseException as error:
            reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
            self._leave(f"{self.members.name(self.index)} ended: {reason}", getattr(error, "status", 1))
            raise
        self._leave()

    def agree(self, what: str, value) -> list:
        """Exchange a value with all workers. It waits until all workers have called it.

        Args:
            what: name of the value, the same on all workers.
            value: a JSON value.

        Returns:
            The values of all workers, in their order.

        Raises:
            UserError, RunError: if a worker has ended, or is at another point of the program.
        """
        if self.size == 1:
            return [value]
        said = {"what": what, "value": value}
        if not self.is_chief:
            self._send(said)
            return self._receive(0, what)
        values = [value, *(self._receive(index, what) for index in sorted(self._connections))]
        self._send({"what": what, "value": values})
        return values

    def agree_equal(self, what: str, value) -> None:
        """Raise UserError on all workers if the value of a worker differs from that of the chief."""
        values = self.agree(what, value)
        for index, other in enumerate(values):
            if other != values[0]:
                raise UserError(
                    f"{self.members.name(index)} has {what} {other}, {self.members.name(0)} has {values[0]}"
                )

    def why(self, error: Exception) -> UserError:
        """The reason why the workers cannot continue.

        Args:
            error: the error that TensorFlow raised.

        Returns:
            The error to raise instead.
        """
        end = time.monotonic() + HELLO_TIMEOUT  # a connection breaks at about the same time
        while self.loss is None and time.monotonic() < end:
            time.sleep(0.05)
        text = str(getattr(error, "message", error)).strip()
        named = re.search(r"reported from /job:worker/task:(\d+)", text)
        who = self.members.name(int(named[1])) if named else "a worker"
        reason = "" if named else f" ({text.splitlines()[0]})"
        return self.loss or RunError(f"{who} does not answer any more{reason}; {self.advice}")

    # --- messages -------------------------------------------------------------------------------------------------

    def _send(self, message: dict) -> None:
        for connection in self._connections.values():
            connection.send(message)

    def _receive(self, index: int, what: str):
        # Messages before the loss of a connection are valid: the chief exits right after it has sent the last one.
        message = self._connections[index].inbox.get()
        if message is None:
            self._connections[index].inbox.put(None)
            raise self.loss or RunError(f"the connection for {what} was lost")
        if message["what"] != what:
            raise RunError(f"{self.members.name(index)} is at {message['what']!r}, this one at {what!r}; {self.advice}")
        return message["value"]

    def _listen(self, index: int, connection: "_Connection") -> None:
        """The thread of a connection: store its messages and notice its end."""
        for message in connection.messages():
            if "over" in message:
                return self._on_loss(message["over"], message["status"])
            if "left" in message:
                return self._on_loss(self._gone(index), RunError.status, is_failure=False)
            connection.inbox.put(message)
        self._on_loss(self._gone(index), RunError.status)

    def _gone(self, index: int) -> str:
        return f"{self.members.name(index)} is gone; {self.advice}"

    def _on_loss(self, reason: str, status: int, is_failure: bool = True) -> None:
        with self._lock:
            if self.loss or self._leaving:
                return
            self.loss = UserError(reason) if status == UserError.status else RunError(reason)
        self._send({"over": reason, "status": status})
        for connection in self._connections.values():
            connection.inbox.put(None)
        if is_failure:
            self.abort(reason)

    def _leave(self, reason: str | None = None, status: int = 0) -> None:
        """Close the connections. The reason is sent to the other workers, unless it came from them.

        Without a reason this worker has done its part, and the others may still finish what it took part in.
        """
        with self._lock:
            self._leaving = True
        if reason is None:
            self._send({"left": True})
        elif self.loss is None:
            self._send({"over": reason, "status": status})
        for connection in self._connections.values():
            connection.close()
        self._connections = {}


class _Connection:
    """A connection to another worker. `inbox` holds the received messages, and None after the last one."""

    def __init__(self, connection: socket.socket):
        connection.settimeout(None)
        _keep_alive(connection)
        self.connection, self._sending = connection, threading.Lock()
        self.inbox: queue.Queue[dict | None] = queue.Queue()

    def send(self, message: dict) -> None:
        with self._sending, contextlib.suppress(OSError):  # the thread that receives notices it
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
    """Make the kernel probe the other machine after 10 s without data, and close the connection after 30 s."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30000}.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


# --- connecting -------------------------------------------------------------------------------------------------------


def _listening(members: Members) -> socket.socket:
    """A socket on this worker's port, on all interfaces. TensorFlow uses the port after the socket is closed."""
    port = _split(members.addresses[members.index])[1]
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            ("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both, backlog=128
        )
    except OSError as error:
        reason = f"cannot listen on port {port} ({error.strerror})"
        raise UserError(f"{members.name(members.index)} {reason}; is another training running here?") from None


def _accept_workers(members: Members, settings: dict) -> dict[int, socket.socket]:
    """On the chief: wait for all workers. Returns the connection of each by its number."""
    joined: dict[int, socket.socket] = {}
    end = time.monotonic() + PATIENCE
    with _listening(members) as server:
        shown = None
        while missing := [index for index in range(1, len(members.addresses)) if index not in joined]:
            if missing != shown:
                console.say(
                    f"kgan: waiting for {len(missing)} of {len(members.addresses)} workers: {_names(members, missing)}"
                )
                shown = missing
            ready = select.select([server, *joined.values()], [], [], max(0.0, end - time.monotonic()))[0]
            if not ready:
                raise RunError(f"{_names(members, missing)} did not come within {PATIENCE / 60:.0f} min; "
                               "start all workers again")  # fmt: skip
            # Workers send nothing before all have connected. So a connection with data is closed; it may be made again.
            joined = {index: connection for index, connection in joined.items() if connection not in ready}
            if server in ready:
                _accept(server.accept()[0], members, settings, joined)
    for connection in joined.values():
        connection.sendall(_encoded(COMPLETE))
    return joined


def _names(members: Members, indices: list[int]) -> str:
    more = len(indices) - 3
    return ", ".join(members.name(index) for index in indices[:3]) + (f" and {more} more" if more > 0 else "")


def _accept(connection: socket.socket, members: Members, settings: dict, joined: dict) -> None:
    """Accept a worker or send it the reason for a refusal. Raises UserError if the reason concerns all workers."""
    try:
        hello = _first_line(connection)
        index, addresses, theirs = hello["index"], tuple(hello["addresses"]), hello["settings"]
    except (OSError, ValueError, KeyError, TypeError):  # such as a port scan or a health check
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
    """How the settings or the addresses of a worker differ from those of the chief, or None."""
    if addresses != members.addresses:
        return f"worker {index}'s TF_CONFIG has the workers {', '.join(addresses)}, not {', '.join(members.addresses)}"
    for name in ours:
        if theirs.get(name) != ours[name]:
            flag = name.replace("_", "-")
            return (f"{members.name(index)} has --{flag} {theirs.get(name)}, {members.name(0)} has {ours[name]}; "
                    "start all workers by the same command")  # fmt: skip
    return None


def _connect_to_chief(members: Members, settings: dict) -> dict[int, socket.socket]:
    """On the other workers: connect to the chief, whose number is 0. Returns when all workers have connected."""
    _listening(members).close()  # raises UserError if the port is in use
    chief, end, shown = members.name(0), time.monotonic() + PATIENCE, False
    while True:
        try:
            return {0: _connection_attempt(members, settings, max(HELLO_TIMEOUT, end - time.monotonic()))}
        except UserError:
            raise
        except (OSError, ValueError) as error:  # the chief has not started, has ended, or the port is not kgan's
            reason = getattr(error, "strerror", None) or "no answer"
        if time.monotonic() > end:
            raise RunError(
                f"{chief} cannot be reached within {PATIENCE / 60:.0f} min ({reason}); start all workers again"
            )
        if not shown:
            console.say(f"kgan: worker {members.index} of {len(members.addresses)} is waiting for {chief}")
            shown = True
        time.sleep(0.5)


def _connection_attempt(members: Members, settings: dict, patience: float) -> socket.socket:
    """Try to connect. Raises OSError or ValueError if it fails, and UserError if the chief refuses."""
    connection = socket.create_connection(_split(members.addresses[0]), timeout=HELLO_TIMEOUT)
    try:
        connection.sendall(_encoded({"index": members.index, "addresses": members.addresses, "settings": settings}))
        for state, seconds in ((WAIT, HELLO_TIMEOUT), (COMPLETE, patience)):
            answer = _first_line(connection, seconds)
            if "over" in answer:
                raise UserError(answer["over"])
            if answer != state:
                raise ValueError("another protocol")
    except BaseException:
        connection.close()
        raise
    return connection


def _first_line(connection: socket.socket, seconds: float = HELLO_TIMEOUT) -> dict:
    """Receive a line with a JSON object. Raises ValueError for anything else."""
    connection.settimeout(seconds)
    received = b""
    while not received.endswith(b"\n"):
        part = connection.recv(1)  # single bytes, so that no byte of the next line is consumed
        if not part or len(received) > 2**20:
            raise ValueError("no line")
        received += part
    message = json.loads(received)
    if not isinstance(message, dict):
        raise ValueError("no object")
    return message
