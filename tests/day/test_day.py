"""A compressed day: traffic of several people, kills and restarts, and what must be true after each of them.

The seed of a day is in the test's name; `DAY_SEED=7` plays another one.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from time import monotonic

import httpx
import pytest

from server.cli import main
from server.settings import BUNDLED_MODEL
from tests.day.acts import FLOOR, act
from tests.day.chain import missing
from tests.day.notebook import Notebook
from tests.day.people import Office
from tests.day.rollcall import check_promises
from tests.day.visitor import Life, Visitor
from tests.e2e.served import Served, serving, write_checkpoint

pytestmark = pytest.mark.anyio

SEEDS = [int(os.environ.get("DAY_SEED", "1"))]
LONG_SEEDS = SEEDS if "DAY_SEED" in os.environ else [2, 3, 4]


class Day:
    """A server that has several lives over one data directory, and those who use it."""

    def __init__(self, folder: Path, checkpoint: Path, seed: int, *, people_at_once: int, acts: int) -> None:
        self.folder, self.checkpoint, self.seed = folder, checkpoint, seed
        self.people_at_once, self.acts = people_at_once, acts
        self.model = "hrm-text-mini" if checkpoint == BUNDLED_MODEL else checkpoint.name
        self.random = Random(seed)
        self.office, self.notebook = Office(folder), Notebook(Random(f"{seed}/words"))
        self.killed: set[int] = set()
        self.logs = ""
        self.lives = 0

    @asynccontextmanager
    async def life(self) -> AsyncIterator[tuple[Served, Visitor]]:
        """Start the server, and look at what is there of what was promised."""
        flags = [*self.office.flags, "--drain-seconds", "20"]
        with serving(self.folder, self.checkpoint, flags) as served:
            self.lives += 1
            life = Life(self.lives, served.url)
            async with httpx.AsyncClient(base_url=served.url, timeout=120) as client:
                visitor = Visitor(client, self.office, self.notebook, life, Random(f"{self.seed}/{life.number}"))
                if life.number == 1:
                    made = {"name": FLOOR, "access": {"read": ["*"], "write": ["*"]}}
                    await visitor.send(self.office.admin, "POST", "/v1/vector_stores", json=made)
                await check_promises(visitor)
                yield served, visitor
            self.logs += served.log.read_text()
        self.office.turn_provider(f"rsa-after-{life.number}")

    async def part(self, *, ends_by_kill: bool) -> None:
        """Live one life: traffic, and in the midst of it the end."""
        async with self.life() as (served, visitor):
            life = visitor.life
            busy = [asyncio.ensure_future(self._be_busy(visitor, number)) for number in range(self.people_at_once)]
            while life.acts < self.acts and not any(task.done() for task in busy):  # noqa: ASYNC110  # many count
                await asyncio.sleep(0.02)
            await asyncio.to_thread(self.office.turn_key, self.random.choice(self.office.people))
            await asyncio.sleep(self.random.random())
            life.is_ending = True
            if ends_by_kill:
                self.killed.add(life.number)
                served.process.kill()
            else:
                served.terminate()
            status = await asyncio.to_thread(served.process.wait, 60)
            await asyncio.gather(*busy)
            assert status == (-9 if ends_by_kill else 0), served.log.read_text()[-3000:]

    async def evening(self) -> None:
        """One more life, without traffic."""
        async with self.life() as (served, _):
            served.terminate()
            assert await asyncio.to_thread(served.process.wait, 60) == 0

    def problems(self) -> list[str]:
        """Everything that was wrong on this day; after it, no server runs."""
        self.office.close()
        data = self.folder / "data"
        return [*self.notebook.problems, *missing(data, self.notebook.told, self.killed), *self._remains(data)]

    async def _be_busy(self, visitor: Visitor, number: int) -> None:
        one = visitor.with_luck(Random(f"{self.seed}/{visitor.life.number}/{number}"))
        while not one.life.is_ending:
            await act(one, self.model)

    def _remains(self, data: Path) -> list[str]:
        """Words in the log, or of certainly erased papers in the files."""
        papers = self.notebook.papers
        found = [f"{paper.canary} is in the log" for paper in papers if paper.canary in self.logs]
        erased = [paper.canary.encode() for paper in papers if paper.is_certified]
        for path in data.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            found += [f"{canary.decode()} is still in {path.name}" for canary in erased if canary in content]
        return found


def told(day: Day) -> str:
    """The day in a line."""
    answers = [one for one in day.notebook.told if one.what == "answer"]
    return (
        f"seed {day.seed}: {day.lives} lives, {len(day.killed)} killed; {len(day.notebook.told)} requests,"
        f" {len(answers)} answers asked for, {sum(one.is_whole for one in answers)} seen whole,"
        f" {sum(one.was_left for one in answers)} left; {len(day.notebook.papers)} papers,"
        f" {sum(paper.state == 'gone' for paper in day.notebook.papers)} of them gone"
    )


def verified(data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What the auditor's command says."""
    assert main(["audit", "verify", "--data-dir", str(data)]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.parametrize("seed", SEEDS)
async def test_after_a_kill_and_a_drain_everything_is_as_it_was_promised(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day = Day(tmp_path, write_checkpoint(tmp_path / "hrm-tiny"), seed, people_at_once=6, acts=24)

    await day.part(ends_by_kill=True)
    await day.part(ends_by_kill=False)

    problems = day.problems()
    assert not problems, f"seed {seed}:\n" + "\n".join(problems)
    assert sum(one.is_whole for one in day.notebook.told) > 5, "there was traffic"
    assert "all as they were written" in verified(tmp_path / "data", capsys)


@pytest.mark.soak
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_so_it_is_after_a_long_day_with_the_bundled_model(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day = Day(tmp_path, BUNDLED_MODEL, seed, people_at_once=12, acts=150)
    began = monotonic()

    for _ in range(5):
        await day.part(ends_by_kill=day.random.random() < 0.6)
    await day.evening()

    problems = day.problems()
    with capsys.disabled():
        print(f"\n{told(day)}; {monotonic() - began:.0f} s")
    assert not problems, f"seed {seed}:\n" + "\n".join(problems)
    assert "all as they were written" in verified(tmp_path / "data", capsys)
