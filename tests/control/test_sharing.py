"""One poller a machine: apps in several processes share the samples of the first, and one takes over when it goes, however it goes."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lpmops.config import Config, Refresh
from lpmops.control.collect import utc_now
from lpmops.control.feed import PolledFeed
from lpmops.control.poller import Poller
from lpmops.model import Snapshot
from lpmops.store.connection import open_store
from tests.control.pretend import World
from tests.waiting import until

_ROOT = Path(__file__).parents[2]
_NEVER = 600.0
# Another app: says after each snapshot how much it has asked of the services, until its input ends.
_APP = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from lpmops.config import Config, Refresh
    from lpmops.control.feed import PolledFeed
    from lpmops.store.connection import open_store
    from tests.control.pretend import World
    world = World(now=datetime.now(UTC))
    config = Config({"test": world.environment}, refresh=Refresh(interval=0.3, slow_interval=0.3, deadline=5.0))
    feed = PolledFeed(config, open_store(Path(sys.argv[1])), opener=lambda *_: world)
    feed.subscribe(lambda snapshot: print(world.asked.total(), flush=True))
    sys.stdin.read()
    feed.close()
"""


class OtherApp:
    """An app in a process of its own; `asked` is what each of its snapshots had cost so far."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_APP), str(path)],
            cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.asked: list[int] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.asked.append(int(line))

    def leave(self) -> None:
        """Close it as its person does."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)

    def kill(self) -> None:
        """End it without a word (kill -9)."""
        self.process.kill()
        self.process.wait(20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "lpmops.db"


@pytest.fixture
def first(path: Path) -> Iterator[OtherApp]:
    app = OtherApp(path)
    try:
        until(lambda: bool(app.asked))
        yield app
    finally:
        app.kill()


@contextmanager
def second_app(path: Path, world: World, interval: float) -> Iterator[list[Snapshot]]:
    """An app in this process, and what it shows."""
    config = Config({"test": world.environment}, refresh=Refresh(interval=interval, slow_interval=0.3, deadline=5.0))
    feed = PolledFeed(config, open_store(path), opener=lambda *_: world)
    shown: list[Snapshot] = []
    feed.subscribe(shown.append)
    try:
        yield shown
    finally:
        feed.close()


def test_a_second_app_shows_each_sample_of_the_first_as_it_is_kept_and_asks_no_service(
    path: Path, first: OtherApp
) -> None:
    world = World(now=datetime.now(UTC))
    # It would look by itself in ten minutes: whatever comes sooner was seen in the store.
    with second_app(path, world, _NEVER) as shown:
        until(lambda: len(shown) >= 4)
        assert len({snapshot.taken_at for snapshot in shown}) == len(shown)
        assert world.asked.total() == 0


def test_it_takes_over_at_once_when_the_first_is_closed(path: Path, first: OtherApp) -> None:
    world = World(now=datetime.now(UTC))
    with second_app(path, world, _NEVER) as shown:
        until(lambda: bool(shown))
        first.leave()
        until(lambda: world.asked["table"] > 0)


def test_it_takes_over_when_the_first_is_killed(path: Path, first: OtherApp) -> None:
    world = World(now=datetime.now(UTC))
    with second_app(path, world, 0.3) as shown:
        until(lambda: bool(shown))
        assert world.asked.total() == 0
        first.kill()
        until(lambda: world.asked["table"] > 0)


def test_it_takes_over_when_the_first_hangs_which_then_follows(path: Path, first: OtherApp) -> None:
    world, ahead = World(now=datetime.now(UTC)), [timedelta(0)]
    config = Config({"test": world.environment}, refresh=Refresh(interval=0.3, slow_interval=0.3, deadline=5.0))
    poller = Poller(
        world.environment, config, open_store(path), opener=lambda *_: world, now=lambda: utc_now() + ahead[0]
    )
    shown: list[Snapshot] = []
    poller.subscribe(shown.append)
    poller.start()
    try:
        until(lambda: bool(shown))
        assert poller.leading is False
        first.process.send_signal(signal.SIGSTOP)
        ahead[0] = timedelta(hours=1)  # as if the lease had run out
        until(lambda: world.asked["table"] > 0)
        ahead[0] = timedelta(0)
        had = len(shown)
        until(lambda: len(shown) >= had + 2)
        first.process.send_signal(signal.SIGCONT)
        told = len(first.asked)
        until(lambda: len(first.asked) >= told + 4)
        # It still shows what is new, and asks for none of it.
        assert len(set(first.asked[-3:])) == 1
    finally:
        poller.close()


def test_on_a_full_disk_looking_goes_on_with_a_warning_and_history_when_there_is_room_again(path: Path) -> None:
    program = """
        import resource, sqlite3, sys
        from datetime import UTC, datetime, timedelta
        from pathlib import Path
        from lpmops.config import Config, Refresh
        from lpmops.control.poller import Poller
        from lpmops.store import snapshots
        from lpmops.store.connection import open_store
        from tests.control.pretend import World
        from tests.waiting import until
        path = Path(sys.argv[1])
        world = World(companies=400)
        store = open_store(path)
        config = Config({"test": world.environment}, refresh=Refresh(interval=0.05, slow_interval=0.2, deadline=5.0))
        poller, seen = Poller(world.environment, config, store, opener=lambda *_: world, now=lambda: world.now), []

        def see(snapshot):
            seen.append(snapshot)
            world.now += timedelta(seconds=5)

        def kept():
            return len(snapshots.moments(store, "test", datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)))

        poller.subscribe(see)
        poller.start()
        until(lambda: kept() > 0)
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, most))
        until(lambda: "full" in poller.warning)
        had, looks = kept(), len(seen)
        until(lambda: len(seen) > looks + 3)
        full = kept() <= had + 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        until(lambda: poller.warning == "" and kept() > had + 1)
        poller.close()
        print(full, sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone()[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(path)], cwd=_ROOT, capture_output=True, text=True, timeout=90, check=False
    )  # fmt: skip
    assert done.stdout == "True ok\n", done.stderr
