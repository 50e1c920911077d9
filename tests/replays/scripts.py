"""What operators and the world do to a replay, script by script; after each the landing tables must hold what one clean run lands, as multisets.

A script begins with landing tables that lack the versions of the incident, uses the real `lpmops` as processes, and leaves everything healed. `Trial`
holds the ground, what the clean run landed, the versions of the incident and how large a run is; `SCRIPTS` names the scripts in the order in which
they are tried.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.replays.ground import NAME, Ground, Row
from tests.stories.machine import Done, Machine, wait_until

# What a wait for events takes at most: some time anyway, more for a million of them, and more where the live stream has left many small commits.
_SECONDS, _SECONDS_A_CHANGE, _SECONDS_A_COMMIT = 60.0, 0.002, 0.1
Landed = Counter[Row]


@dataclass(slots=True)
class Trial:
    """One script after the other on the same ground.

    `rate` is events a second, `runs` into how many runs the range is cut where it is cut, `share` how much of the versions laid an incident takes:
    the newest of them, all unless it is less than 1.
    """

    ground: Ground
    rate: int
    runs: int = 3
    share: float = 1.0
    clean: Landed = field(default_factory=Counter)

    @property
    def versions(self) -> tuple[int, int]:
        """The versions (first, last) of the incident, which every script loses and sends again."""
        first, last = self.ground.versions
        return last - max(1, round((last - first + 1) * self.share)) + 1, last

    def is_whole(self) -> bool:
        """Whether everything landed of the versions laid, as far as a count tells."""
        return self.ground.count() >= self.ground.changes

    @property
    def patience(self) -> float:
        """Seconds that all changes are given to land."""
        live = self.ground.latest() - self.ground.versions[1]
        return _SECONDS + self.ground.changes * _SECONDS_A_CHANGE + live * _SECONDS_A_COMMIT

    @property
    def changes(self) -> int:
        """How many changes the incident's versions hold."""
        first, last = self.versions
        return self.ground.source(first, last).total()

    @property
    def machine(self) -> Machine:
        """The operator's machine."""
        return self.ground.machine

    def words(self, first: int | None = None, last: int | None = None, *more: str | int) -> tuple[str | int, ...]:
        """The command that sends versions again, the whole range unless it is narrowed."""
        begin, end = self.versions
        bounds = ("--from-version", begin if first is None else first, "--to-version", end if last is None else last)
        return ("replay", "run", "-e", NAME, *bounds, "--rate", self.rate, *_AGREED, *more)

    def in_runs(self) -> tuple[str | int, ...]:
        """The same, cut into several runs."""
        first, last = self.versions
        return self.words(None, None, "--chunk", max(1, (last - first + 1) // self.runs) * self.ground.largest)

    def send(self, *words: str | int, machine: Machine | None = None, code: int = 0) -> dict[str, Any]:
        """Run a replay to its end, which is 0 where all is proven and 11 where it is not; what came of it."""
        done = self.run(*words, machine=machine)
        assert done.code == code, f"{words}: exit {done.code}: {done.err[-1_000:]}"
        found = done.document["data"]
        assert isinstance(found, dict)
        return found

    def run(self, *words: str | int, machine: Machine | None = None) -> Done:
        """One command, given as much time as all changes need."""
        return (machine or self.machine).run(*words, "-o", "json", seconds=self.patience)

    def fault(self, name: str, *aim: str) -> None:
        """Break something in prod."""
        self.machine.done("sandbox", "fault", name, "-e", NAME, *aim)

    def heal(self) -> None:
        """Mend everything."""
        self.machine.done("sandbox", "heal")

    @contextmanager
    def broken(self, name: str, *aim: str) -> Iterator[None]:
        """Something is broken for as long as the block runs."""
        self.fault(name, *aim)
        try:
            yield
        finally:
            self.heal()

    def another_machine(self) -> Machine:
        """The machine of a second operator: the same sandbox, a store of their own."""
        folder = self.ground.folder.parent / "another"
        return self.machine.using(LPMOPS_STATE_DIR=str(folder))

    # The verdict

    def begin(self) -> None:
        """Let what is under way land, and then take all that landed of the incident's versions away."""
        self.ground.settle(self.patience)
        self.ground.empty(*self.versions)

    def difference(self, lost: range = range(0)) -> Landed:
        """Wait until as much has landed as by the clean run, but for the versions that are lost for good; then what differs, as a multiset."""
        wanted = Counter({row: times for row, times in self.clean.items() if row[0] not in lost})
        # What is missing when the time is over is told with the rest.
        with suppress(AssertionError):
            wait_until(lambda: self.ground.count() >= wanted.total(), "it has landed", self.patience)
        landed = self.ground.landed()
        return (landed - wanted) + (wanted - landed)


_AGREED = ("--reason", "a trial of replays", "--confirm", NAME)


def clean_run(trial: Trial) -> None:
    """One run of everything by the stream itself, which all others are held against; the source's own keys say that it is whole."""
    wait_until(trial.is_whole, "the stream has landed it all", trial.patience)
    assert trial.ground.landed_keys() == trial.ground.source(), "one clean run does not land what the source has"
    trial.clean = trial.ground.landed()


def once(trial: Trial) -> None:
    """One replay of everything lands what the stream landed."""
    trial.send(*trial.words())


def twice(trial: Trial) -> None:
    """The same range, two times."""
    for _ in range(2):
        trial.send(*trial.words())


def overlapping(trial: Trial) -> None:
    """Two ranges that share their middle third, the later one first."""
    first, last = trial.versions
    third = max(1, (last - first + 1) // 3)
    trial.send(*trial.words(first + third, last))
    trial.send(*trial.words(first, last - third))


def beside_the_stream(trial: Trial) -> None:
    """The stream goes on meanwhile, and what it carries lands once as well."""
    begun = trial.ground.latest()
    trial.send(*trial.words())
    ended = trial.ground.latest()
    assert ended > begun, "nothing flowed beside the replay"
    live = trial.ground.source(begun + 1, ended)
    wait_until(
        lambda: not live - trial.ground.landed_keys(begun + 1, ended), "what flowed live has landed", trial.patience
    )
    assert trial.ground.landed_keys(begun + 1, ended) == live, "what flowed live did not land once"


def killed(trial: Trial) -> None:
    """kill -9 of lpmops in one run, behind the next, and so on through all of them, and on with `replay resume`."""
    words, seen = trial.in_runs(), set[str]()

    def is_due(told: Mapping[str, Any]) -> bool:
        return _is_sending(told) and told["step"] not in seen and told["state"] == ("accepted", "done")[len(seen) % 2]

    while True:
        process = trial.machine.begin(*words, "-o", "jsonl")
        told = _first(process, is_due)
        if told is None:
            break
        seen.add(told["step"])
        process.send_signal(signal.SIGKILL)
        process.wait()
        words = ("replay", "resume", told["op"])
    assert process.wait() == 0, "the replay that was killed and resumed did not end well"
    assert len(seen) >= trial.runs, f"it was killed in {len(seen)} runs only"


def cancelled(trial: Trial) -> None:
    """Somebody cancels it in the middle, and later all is sent again."""
    # The hub takes the beginning of a run and then lets it wait, so that there is a middle on a machine of any speed.
    slowly = ("--rate", max(1, min(trial.rate, trial.changes // trial.runs // 4)))
    with trial.broken("hub.throttled"):
        process = trial.machine.begin(*trial.in_runs(), *slowly, "-o", "jsonl")
        told = _first(process, _is_sending)
        assert told is not None, "it was over before it could be cancelled"
        cancel = ("replay", "cancel", told["op"], "--reason", "the window is over")
        ended = trial.send(*cancel)
        _rest(process)
        # Where its own process ran it, that one saw the run end and stopped: it is given up now.
        if ended["state"] != "cancelled":
            ended = trial.send(*cancel)
        assert ended["state"] == "cancelled"
    assert not trial.is_whole(), "nothing was left to be sent again"
    trial.send(*trial.words())


def throttled(trial: Trial) -> None:
    """The hub takes next to nothing while the replay sends, and later all again."""
    process = trial.machine.begin(*trial.in_runs(), "-o", "jsonl")
    assert _first(process, _is_sending) is not None, "it was over before the hub could be throttled"
    with trial.broken("hub.throttled"):
        _first(process, lambda each: "rows sent" in each["said"])
    assert _rest(process) == 0, "the replay that was throttled did not end well"


def two_operators(trial: Trial) -> None:
    """Two want the same rows at the same time: one is told to wait, and sends them again once the other is done."""
    process = trial.machine.begin(*trial.in_runs(), "-o", "jsonl")
    assert _first(process, _is_sending) is not None
    other = trial.another_machine()
    refused = trial.run(*trial.words(), machine=other)
    assert refused.code in (5, 6), refused
    assert _rest(process) == 0, "the first operator's replay did not end well"
    trial.send(*trial.words(), machine=other)


def hub_loss(trial: Trial) -> None:
    """The hub loses one company's events; what is missing is found, and sent alone."""
    company = trial.ground.companies[0]
    with trial.broken("hub.loss", "--company", company):
        sent = trial.run(*trial.words())
        proof = sent.document["data"]["result"]["proof"]
        assert (sent.code, proof["complete"]) == (11, False), "the loss was not seen"
    found = trial.run("reconcile", "-e", NAME, "--versions", ":".join(map(str, trial.versions)), "--again")
    lost = {each["company_id"]: each["missing"] for each in found.document["data"]["companies"] if each["missing"]}
    assert (found.code, list(lost)) == (11, [company]), lost
    trial.send("replay", "run", "-e", NAME, "--missing", "--rate", trial.rate, *_AGREED)


def hub_doubled(trial: Trial) -> None:
    """Each event comes to the hub twice."""
    with trial.broken("hub.doubled"):
        trial.send(*trial.words())


def rows_lost(trial: Trial) -> None:
    """Somebody deletes what two companies' tables took last; it is found missing and sent again."""
    trial.send(*trial.words())
    trial.ground.settle(trial.patience)
    one, another = trial.ground.companies[:2]
    trial.fault("sql.rows_lost", "--company", one, "--company", another)
    assert not trial.is_whole(), "nothing was lost"
    # What was deleted is what landed last, of whatever version.
    found = trial.run("reconcile", "-e", NAME, "--versions", ":".join(map(str, trial.ground.versions)), "--again")
    lost = {each["company_id"]: each["missing"] for each in found.document["data"]["companies"] if each["missing"]}
    assert (found.code, sorted(lost)) == (11, sorted((one, another))), lost
    trial.send("replay", "run", "-e", NAME, "--missing", "--rate", trial.rate, *_AGREED)


def run_fails(trial: Trial) -> None:
    """Every run fails midway, its events in the hub and no answer; once that is mended the replay is resumed."""
    with trial.broken("replay.run_fails"):
        ended = trial.run(*trial.in_runs())
    assert ended.code != 0, "no run failed"
    trial.send("replay", "resume", ended.document["error"]["operation"])


def columns_change(trial: Trial) -> None:
    """A column is dropped, and what was committed before it and after it is sent in one replay."""
    said = trial.machine.done("sandbox", "change-schema", "-e", NAME, "--drop", "trunk", "-o", "json")
    dropped = said.document["data"]["tables"][0]["version"]
    wait_until(lambda: trial.ground.latest() > dropped, "the source goes on without the column", trial.patience)
    last, behind = trial.ground.latest(), trial.ground.versions[1] + 1
    # What was committed just now is too young to be proven.
    trial.send(*trial.words(None, last), code=11)
    live = trial.ground.source(behind, dropped - 1) + trial.ground.source(dropped, last)
    wait_until(lambda: not live - trial.ground.landed_keys(behind, last), "what came after has landed", trial.patience)


def vacuumed(trial: Trial) -> range:
    """VACUUM takes what is older than the middle: the whole is refused in words, and what can be read lands as in the clean run."""
    first, last = trial.versions
    middle = (first + last) // 2
    trial.machine.done("sandbox", "vacuum", "-e", NAME, "--before", middle)
    refused = trial.run(*trial.words())
    assert (refused.code, "What remains" in refused.document["error"]["message"]) == (6, True), refused
    trial.send(*trial.words(middle, last))
    return range(first, middle)


# Each returns the versions that are lost for good, if any: all others must be as in the clean run. What can't be undone comes last.
SCRIPTS: Mapping[str, Callable[[Trial], range | None]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        once,
        twice,
        overlapping,
        beside_the_stream,
        killed,
        cancelled,
        throttled,
        two_operators,
        hub_loss,
        hub_doubled,
        rows_lost,
        run_fails,
        columns_change,
        vacuumed,
    )
}


def _is_sending(told: Mapping[str, Any]) -> bool:
    """Whether it is told that a run was submitted, goes on, or is done."""
    return (told["step"] or "").startswith("send versions") and told["state"] in ("accepted", "done")


def _first(process: subprocess.Popen[str], holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any] | None:
    """Read what a run tells until it holds; None where it ended before."""
    assert process.stdout is not None
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if "op" in found and holds(found):
            return found
    return None


def _rest(process: subprocess.Popen[str]) -> int:
    """Read the rest of what a run tells; its exit code."""
    _first(process, lambda _: False)
    return process.wait()
