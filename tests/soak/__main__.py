"""Run the trial: `python -m tests.soak --seconds 600`. Ends with 0 when nothing was lost and nothing was
wrong."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from urllib.parse import urlsplit

import onnx

from tests import graphs
from tests.processes import Server, serve
from tests.soak.disturbance import Disturbances, resident_megabytes
from tests.soak.questions import Question, network, questions
from tests.soak.tally import Tally
from tests.soak.wire import ClosedEarly, Connection

LIGHT, HEAVY = (64, 256, 128, 10), (256, 1024, 1024, 10)


class Log(Thread):
    """Reads what the server writes, so that it never waits for a reader."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self.lines = self.length = self.tracebacks = 0

    def run(self) -> None:
        """Until the server is gone."""
        for line in self._server.process.stdout or ():
            self.lines += 1
            self.length += len(line)
            self.tracebacks += "Traceback" in line


def main() -> int:
    """Load a server and disturb it; print what became of every request."""
    parser = argparse.ArgumentParser(prog="tests.soak")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--kill-every", type=float, default=20)
    parser.add_argument("--swap-every", type=float, default=0.5)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        models, versions = _prepare(Path(folder))
        options = ("--workers", "2", "--watch-interval", "0.2", "--default-model", "light")
        with serve(models, *options) as server:
            log = Log(server)
            log.start()
            ended = asyncio.run(_trial(server, models, versions, given))
            log.join()
            print(f"the log: {log.lines} lines, {log.length} bytes; tracebacks {log.tracebacks}")
            return ended or int(log.tracebacks > 0)


def _prepare(folder: Path) -> tuple[Path, dict[str, list[Path]]]:
    """Two versions of two models beside each other; the first of each is published."""
    models, versions = folder / "models", {}
    for name, sizes in {"light": LIGHT, "heavy": HEAVY}.items():
        files = [folder / f"{name}-{seed}.onnx" for seed in (0, 1)]
        for seed, file in enumerate(files):
            onnx.save(network(sizes, seed), file)
        graphs.put(network(sizes, 0), models, name)
        versions[name] = files
    return models, versions


async def _trial(
    server: Server, models: Path, versions: dict[str, list[Path]], given: argparse.Namespace
) -> int:
    tally, disturbances = Tally(), Disturbances(server.process.pid)
    asked = questions(versions)
    address = urlsplit(server.address)
    assert address.hostname
    assert address.port
    over = asyncio.Event()
    clients = [
        asyncio.create_task(
            _client(
                Connection(address.hostname, address.port), asked, random.Random(n), tally, disturbances, over
            )
        )
        for n in range(given.connections)
    ]
    others = [
        asyncio.create_task(disturbances.swap(models, versions, given.swap_every)),
        asyncio.create_task(disturbances.kill(given.kill_every)),
    ]
    start, memory = time.monotonic(), await _watch(server, given.seconds, tally, disturbances)
    for task in others:
        if task.done():
            task.result()
        task.cancel()
    disturbances.let_go_on()
    # The end comes in the middle of the load, as it does when a new release is rolled out.
    server.process.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(server.process.wait, 60)
    over.set()
    await asyncio.gather(*clients)
    return _report(tally, disturbances, memory, time.monotonic() - start, code)


async def _client(
    connection: Connection,
    asked: Sequence[Question],
    chance: random.Random,
    tally: Tally,
    disturbances: Disturbances,
    over: asyncio.Event,
) -> None:
    """Ask one question after another until the server is gone."""
    while not over.is_set():
        question = chance.choice(asked)
        try:
            if chance.random() < 0.02:
                await connection.hang_up(question.request)
                tally.end("hung up", question.kind)
            else:
                await _ask(connection, question, tally, disturbances)
            if chance.random() < 0.02:
                connection.close()
        except ConnectionRefusedError:
            # Not sent: nobody listens any more, or not yet.
            await asyncio.sleep(0.05)


async def _ask(connection: Connection, question: Question, tally: Tally, disturbances: Disturbances) -> None:
    try:
        answer = await connection.ask(question.request)
    except ClosedEarly as error:
        if connection.local_port in disturbances.orphaned:
            tally.end("killed", question.kind)
        else:
            tally.fault("lost", question.kind, str(error))
        return
    if answer.status == 200 and not question.bad:
        fault = question.judge(answer)
        tally.rows += question.rows
        if fault:
            tally.fault("wrong", question.kind, fault)
        else:
            tally.end("answered", question.kind)
    elif answer.status in question.refusals:
        tally.end(f"refused {answer.status}", question.kind)
    else:
        tally.fault("wrong", question.kind, f"status {answer.status}: {answer.body[:200]!r}")


async def _watch(
    server: Server, seconds: float, tally: Tally, disturbances: Disturbances
) -> tuple[float, float]:
    """Wait; the memory after the first tenth and at the end, in MiB."""
    await asyncio.sleep(seconds / 10)
    first = resident_megabytes(server.process.pid)
    for _ in range(9):
        await asyncio.sleep(seconds / 10)
        now = resident_megabytes(server.process.pid)
        words = f"{tally.sent} sent, {tally.of('lost')} lost, {disturbances.swaps} swaps, "
        print(f"{words}{disturbances.kills} killed, {now:.0f} MiB", file=sys.stderr, flush=True)
    return first, resident_megabytes(server.process.pid)


def _report(
    tally: Tally, disturbances: Disturbances, memory: tuple[float, float], seconds: float, code: int
) -> int:
    lost, wrong = tally.of("lost"), tally.of("wrong")
    lines = [
        tally.table(),
        f"{seconds:.0f} s, {tally.sent / seconds:.0f} requests/s, {tally.rows} rows",
        f"{disturbances.swaps} swaps of two models, {disturbances.kills} workers killed, exit code {code}",
        f"memory of all processes {memory[0]:.0f} MiB after a tenth, {memory[1]:.0f} MiB at the end",
        *tally.faults,
        f"sent {tally.sent}, answered {tally.of('answered')}, lost {lost}, wrong {wrong}",
    ]
    print("\n".join(lines))
    return int(bool(lost or wrong or code))


if __name__ == "__main__":
    sys.exit(main())
