"""
What a decision is, and the kinds of verdict.
"""

from __future__ import annotations

from enum import Enum

import attrs


class Verdict(Enum):
    """
    What is decided. C{REPORT} lets through, and the log says that it would be refused: for trying
    out a rule before it counts.
    """

    ALLOW = "allow"
    REPORT = "report"
    REFUSE = "refuse"

    @property
    def openness(self) -> int:
        """
        The higher, the more is let through.
        """
        return _OPENNESS[self.value]


_OPENNESS = {"refuse": 0, "report": 1, "allow": 2}


@attrs.frozen
class Decision:
    """
    The outcome, and why.

    @ivar rule: in words, for the log and the administrator
    @ivar source: where the rule is written: C{file:line}, an attribute, or C{default}
    @ivar private_would_do: the same login over TLS would be allowed (PRIVACYREQUIRED applies)
    @ivar depends_on_person: knowing the name could change the verdict
    @ivar public: what the client reads if it is refused; empty for what refusals usually say
    """

    verdict: Verdict
    rule: str
    source: str
    private_would_do: bool = False
    depends_on_person: bool = False
    public: str = ""

    @property
    def allowed(self) -> bool:
        """
        Whether to go on.
        """
        return self.verdict is not Verdict.REFUSE

    @property
    def reported(self) -> bool:
        """
        Whether it goes on only because the rule is being tried out.
        """
        return self.verdict is Verdict.REPORT
