"""
What the answer to a user's bind means: for the client, for the log, for the next source.

    answer                                              outcome
    0, nothing else                                     RIGHT
    0 or 49 with "password expired" or "must change"    EXPIRED: the password was right
    49; 49 52e, 525; 32, 48                             WRONG
    49 530, 531 (hours, workstation)                    REFUSED: the password was right
    49 533, 775; ppolicy "locked"; 19; 53 inactivated   UNUSABLE: looks like WRONG to the client,
                                                        and no other source is asked
    49 532, 701, 773                                    EXPIRED
    8, 13, 34, 53 and the like                          MISCONFIGURED
    everything else                                     UNAVAILABLE

Active Directory says "disabled" and "locked" to wrong passwords, too, and so may others: telling it
would show strangers which accounts there are (LD-12). Never is an unknown answer a success (LD-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

import attrs

from .ber import BadBER, elements

PPOLICY = "1.3.6.1.4.1.42.2.27.8.5.1"
"""Password policy, draft-behera-ldap-password-policy: request and response."""

EXPIRED = "2.16.840.1.113730.3.4.4"
EXPIRING = "2.16.840.1.113730.3.4.5"
"""Netscape's older controls, sent by 389 Directory Server."""


class Outcome(Enum):
    """
    What is known of the password and the account.
    """

    RIGHT = "right"
    WRONG = "wrong"
    EXPIRED = "expired"
    REFUSED = "refused"
    UNUSABLE = "unusable"
    MISCONFIGURED = "misconfigured"
    UNAVAILABLE = "unavailable"


@attrs.frozen
class Verdict:
    """
    An outcome.

    @ivar reason: for the log
    @ivar warning: for the log as well, when all is well
    @ivar plain: a wrong password and nothing else: the same again would be wrong again
    """

    outcome: Outcome
    reason: str
    warning: str = ""
    plain: bool = False


_AD_CODE = re.compile(r"\bdata ([0-9a-f]{2,8})\b", re.I)
_AD: Mapping[int, tuple[Outcome, str]] = {
    0x525: (Outcome.WRONG, "no such user"),
    0x52E: (Outcome.WRONG, "wrong password"),
    0x530: (Outcome.REFUSED, "not at this hour"),
    0x531: (Outcome.REFUSED, "not at this workstation"),
    0x532: (Outcome.EXPIRED, "password expired"),
    0x533: (Outcome.UNUSABLE, "account disabled"),
    0x701: (Outcome.EXPIRED, "account expired"),
    0x773: (Outcome.EXPIRED, "password must be changed"),
    0x775: (Outcome.UNUSABLE, "account locked"),
}

_PPOLICY: Mapping[int, tuple[Outcome, str]] = {
    0: (Outcome.EXPIRED, "password expired"),
    1: (Outcome.UNUSABLE, "account locked"),
    2: (Outcome.EXPIRED, "password must be changed"),
}

_CODES: Mapping[int, tuple[Outcome, str]] = {
    7: (Outcome.MISCONFIGURED, "authMethodNotSupported: no simple binds here"),
    8: (Outcome.MISCONFIGURED, "strongerAuthRequired: use ldaps:// or StartTLS"),
    10: (Outcome.UNAVAILABLE, "referral: the entry is on another server; referrals are not chased"),
    13: (Outcome.MISCONFIGURED, "confidentialityRequired: use ldaps:// or StartTLS"),
    19: (Outcome.UNUSABLE, "constraintViolation: too many wrong passwords"),
    32: (Outcome.WRONG, "noSuchObject"),
    34: (Outcome.MISCONFIGURED, "invalidDNSyntax: the template makes no DN for this directory"),
    48: (Outcome.WRONG, "inappropriateAuthentication: the entry has no password"),
    50: (Outcome.MISCONFIGURED, "insufficientAccessRights: binding is not permitted"),
    51: (Outcome.UNAVAILABLE, "busy"),
    52: (Outcome.UNAVAILABLE, "unavailable"),
    53: (Outcome.MISCONFIGURED, "unwillingToPerform"),
}


def judge(result: Mapping[str, Any]) -> Verdict:
    """
    What a bind's result means, as C{ldap3} gives it: C{result}, C{message}, C{controls}.
    """
    code = int(result.get("result", 80))
    message = _text(result.get("message"))
    said = f"result {code} ({message})" if message else f"result {code}"
    controls = result.get("controls") or {}
    state, warning = _policy(controls)
    if state is not None and code in (0, 49):
        return Verdict(state[0], f"{state[1]}: {said}")
    if EXPIRED in controls and code in (0, 49):
        return Verdict(Outcome.EXPIRED, f"password expired: {said}")
    if code == 0:
        if EXPIRING in controls:
            warning = warning or "password will expire soon"
        return Verdict(Outcome.RIGHT, "success", warning)
    if code == 49:
        found = _AD_CODE.search(message)
        if found is None:
            return Verdict(Outcome.WRONG, f"wrong password: {said}", plain=True)
        number = int(found[1], 16)
        outcome, reason = _AD.get(number, (Outcome.WRONG, "unknown sub-code"))
        return Verdict(outcome, f"{reason}: {said}", plain=number == 0x52E)
    if code == 53 and "inactivated" in message.lower():
        return Verdict(Outcome.UNUSABLE, f"account inactivated: {said}")
    outcome, reason = _CODES.get(code, (Outcome.UNAVAILABLE, "no answer to the question"))
    return Verdict(outcome, f"{reason}: {said}")


def _policy(controls: Mapping[str, Any]) -> tuple[tuple[Outcome, str] | None, str]:
    """
    Error and warning of the password policy control.
    """
    control = controls.get(PPOLICY)
    value = control.get("value") if isinstance(control, Mapping) else None
    if not isinstance(value, bytes):
        return None, ""
    try:
        return _policy_value(value)
    except BadBER:
        return None, "the password policy control cannot be read"


def _policy_value(value: bytes) -> tuple[tuple[Outcome, str] | None, str]:
    """
    ::

        PasswordPolicyResponseValue ::= SEQUENCE {
            warning [0] CHOICE {
                timeBeforeExpiration [0] INTEGER, graceAuthNsRemaining [1] INTEGER } OPTIONAL,
            error   [1] ENUMERATED { passwordExpired (0), accountLocked (1), changeAfterReset (2),
                ... } OPTIONAL }
    """
    outer = elements(value)
    if len(outer) != 1 or outer[0][0] != 0x30:
        raise BadBER("no sequence")
    state, warning = None, ""
    for tag, content in elements(outer[0][1]):
        if tag == 0xA0:
            for kind, number in elements(content):
                amount = int.from_bytes(number, "big")
                if kind == 0x80:
                    warning = f"password expires in {amount} seconds"
                elif kind == 0x81:
                    warning = f"password expired, {amount} logins left"
        elif tag == 0x81:
            number_ = int.from_bytes(content, "big")
            # The other errors are about changing a password.
            state = _PPOLICY.get(number_, (Outcome.UNAVAILABLE, f"policy error {number_}"))
    return state, warning


def _text(message: object) -> str:
    """
    What the server says, harmless in a log.
    """
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message or "")
    return "".join(each if each.isprintable() else " " for each in text)[:200].strip()
