"""
What is counted, and what is looked up when somebody asks.

    numbers = Numbers(look)
    numbers.count(attempt)      on the reactor's thread, at each login
    text = generate_latest(numbers.registry)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mailaccess import __version__
from mailaccess.policy.attempt import Attempt

from ..audit.facts import OUTCOMES

LOGIN = ("listener", "mechanism", "layer", "outcome", "result")
EXPOSED = ("listener", "mechanism")


class Numbers(Collector):
    """
    Counts attempts, and asks C{look} for everything else.

    @ivar registry: gives all of it out
    """

    def __init__(self, look: Callable[[], Iterable[Metric]] = tuple) -> None:
        self._look = look
        self._logins: Counter[tuple[str, ...]] = Counter()
        self._exposed: Counter[tuple[str, ...]] = Counter()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def count(self, attempt: Attempt) -> None:
        """
        An attempt to log in is over.
        """
        link, mechanism = attempt.link, attempt.mechanism.name
        outcome = OUTCOMES[attempt.decision.verdict]
        result = attempt.result.value
        self._logins[link.listener, mechanism, link.layer.value, outcome, result] += 1
        if attempt.exposed:
            self._exposed[link.listener, mechanism] += 1

    def describe(self) -> Iterable[Metric]:
        """
        Nothing: names are known without asking for values.
        """
        return ()

    def collect(self) -> Iterator[Metric]:
        """
        All values of now.
        """
        yield counter(
            "mailaccess_logins",
            "Attempts to log in, by what the policy decided and what the password was.",
            LOGIN,
            self._logins,
        )
        yield counter(
            "mailaccess_passwords_exposed",
            "Passwords that others could read, even if they were refused.",
            EXPOSED,
            self._exposed,
        )
        info = GaugeMetricFamily("mailaccess_info", "The program.", labels=("version",))
        info.add_metric([__version__], 1)
        yield info
        yield from self._look()


def counter(
    name: str, text: str, labels: Iterable[str], counts: Counter[tuple[str, ...]]
) -> CounterMetricFamily:
    """
    A family of counters.
    """
    family = CounterMetricFamily(name, text, labels=tuple(labels))
    for values, number in sorted(counts.items()):
        family.add_metric(values, number)
    return family


def gauge(
    name: str, text: str, label: str, values: Iterable[tuple[str, float]]
) -> GaugeMetricFamily:
    """
    A family of numbers that go up and down.
    """
    family = GaugeMetricFamily(name, text, labels=(label,))
    for word, number in values:
        family.add_metric([word], number)
    return family
