"""What is asked for when somebody looks closer: answers that are of before something happened are asked for again, by whoever looks next."""

from __future__ import annotations

import threading

from lpmops.tui.answers import Answers, Question
from lpmops.tui.feed import Feed
from tests.tui.worlds import MemoryFeed, good_day
from tests.waiting import until


class Asked:
    """A question whose answers are counted; each waits until the test lets it go."""

    def __init__(self) -> None:
        self.times, self.let_go = 0, threading.Event()
        self.question: Question[int] = Question(("how often",), self._ask, None)

    def _ask(self, _feed: Feed) -> int:
        self.times += 1
        self.let_go.wait(30)
        return self.times


def known(feed: MemoryFeed, asked: Asked) -> Answers:
    """Answers that know one already."""
    answers = Answers(feed, lambda: None)
    asked.let_go.set()
    answers.get(asked.question, feed.now())
    until(lambda: not answers.asking)
    return answers


def test_an_answer_of_before_is_kept_until_somebody_asks_again() -> None:
    feed, asked = good_day(), Asked()
    answers = known(feed, asked)
    assert answers.get(asked.question, feed.now()).value == 1
    answers.outdate(asked.question)
    assert answers.get(asked.question, feed.now()).value == 1
    until(lambda: answers.get(asked.question, feed.now()).value == 2)
    assert asked.times == 2


def test_what_is_being_read_while_it_happens_is_read_once_more() -> None:
    feed, asked = good_day(), Asked()
    answers = Answers(feed, lambda: None)
    answers.get(asked.question, feed.now())
    answers.outdate(asked.question)
    asked.let_go.set()
    until(lambda: not answers.asking)
    until(lambda: answers.get(asked.question, feed.now()).value == 2)
    assert asked.times == 2


def test_what_nobody_asked_for_is_not_asked_for_by_being_out_of_date() -> None:
    feed, asked = good_day(), Asked()
    answers = Answers(feed, lambda: None)
    answers.outdate(asked.question)
    assert not answers.asking
    assert asked.times == 0
