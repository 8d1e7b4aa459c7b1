"""
Lists that other servers wrote, good and bad: what is believed, and what is said of the rest.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailaccess.store.maildir import courier, dovecot, uniqueids
from mailaccess.store.maildir.uidlist import UidList
from mailaccess.store.maildir.uniqueids import USUAL, Pattern

HEAD = "3 V1234 N30 G0123456789abcdef\n"


def test_a_list_of_dovecot_s_is_read_with_its_fields() -> None:
    text = HEAD + "3 W11 S8 P000a :b.host,S=8\n7 :a.host:2,S\n9 P G77 :c.host\n41 :d.host\n"
    found = dovecot.parse(text)
    assert (found.uid_validity, found.uid_next, found.source) == (1234, 42, "dovecot")
    assert found.uids == {"b.host,S=8": 3, "a.host": 7, "c.host": 9, "d.host": 41}
    # An empty field says that the file's name is what clients know.
    assert found.unique_ids == {3: "000a", 9: "c.host"}
    assert found.extensions == {3: "W11 S8 P000a", 9: "P G77"}
    assert (found.header, found.doubts) == ("G0123456789abcdef", ())


def test_a_list_of_the_first_version_is_read() -> None:
    found = dovecot.parse("1 555 30\n7 a.host\n8 b.host:2,S\n")
    assert (found.uid_validity, found.uid_next) == (555, 30)
    assert found.uids == {"a.host": 7, "b.host": 8}


@pytest.mark.parametrize(
    "head",
    ["", "\n", "2 V1 N2", "3", "3 V1", "3 N5", "3 V0 N5", "3 V99999999999 N5", "1 5", "3 Vx Ny"],
)
def test_a_list_without_a_header_is_nobody_s_word(head: str) -> None:
    """New UIDs are safe where nothing says which were given."""
    found = dovecot.parse(f"{head}\n7 :a.host\n")
    assert (found.uid_validity, found.uids) == (0, {})
    assert found.doubts == ("header cannot be read: the mailbox gets new UIDs (line 1)",)


@pytest.mark.parametrize(
    ("lines", "uids", "said"),
    [
        ("7 :a\n7 :b\n8 :c\n", {"c": 8}, "both messages get new ones (line 3)"),
        ("7 :a\n9 :a\n", {"a": 9}, "listed twice: the higher UID counts (line 3)"),
        ("9 :a\n7 :a\n", {"a": 9}, "listed twice"),
        ("x :a\n-1 :b\n0 :c\n7 :d\n", {"d": 7}, "makes no sense and is passed over (line 2 and 2"),
        ("4294967290 :a\n7 :b\n", {"b": 7}, "UID is too high"),
        ("99999999999999999999 :a\n7 :b\n", {"b": 7}, "makes no sense"),
        ("6 :../../etc/passwd\n7 :b\n", {"b": 7}, "makes no sense"),
        ("6 a\n7 :b\n", {"b": 7}, "makes no sense"),
    ],
)
def test_lines_that_cannot_be_are_passed_over_and_told(
    lines: str, uids: dict[str, int], said: str
) -> None:
    found = dovecot.parse(HEAD + lines)
    assert found.uids == uids
    assert (found.uid_validity, found.uid_next) == (1234, 30)
    assert len(found.doubts) == 1
    assert said in found.doubts[0]


def test_after_a_list_that_was_cut_off_no_uid_is_given_twice() -> None:
    """What was lost may have had the UIDs that seem to follow."""
    found = dovecot.parse("3 V1234 N5 Gx\n4 :a.host\n17 :b.host\n18 :c.ho")
    assert found.uid_next > 100_000
    assert (found.uids["a.host"], found.uids["b.host"]) == (4, 17)
    assert found.doubts == ("end is missing: the next UIDs are passed over (line 4)",)


@pytest.mark.parametrize("parse", [dovecot.parse, courier.parse])
@given(
    head=st.sampled_from(["", "3 V1 N2\n", "3 V77 N9 Gx\n", "1 5 6\n", "1 5\n"]),
    lines=st.lists(
        st.tuples(
            st.one_of(st.integers(-1, 30), st.integers(2**32 - 3, 2**32 + 3)).map(str),
            st.sampled_from([" ", " :", " W1 :", " P :", " Px W3 :", ":", "  :"]),
            st.text("ab.:/ ,\0é\udcff", max_size=6),
        ).map("".join)
    ),
    end=st.sampled_from(["", "\n", "\n\n7"]),
)
def test_nothing_in_a_list_leads_to_a_wrong_uid(parse, head, lines, end) -> None:  # type: ignore[no-untyped-def]
    """UIDs are different, possible, and below the next one, whatever stands there."""
    found: UidList = parse(head + "\n".join(lines) + end)
    uids = list(found.uids.values())
    assert len(set(uids)) == len(uids)
    assert all(0 < uid < found.uid_next < 2**32 - 2**19 for uid in uids)
    assert all("/" not in base and base and ":" not in base for base in found.uids)
    assert found.unique_ids.keys() <= set(uids)


@given(
    st.dictionaries(
        st.integers(1, 10**6),
        st.tuples(
            st.text("abc.,=1é\udcff", min_size=1, max_size=9),
            st.sampled_from(["", "W1", "W1 S2 O7", "G77"]),
            st.one_of(st.none(), st.text("xyz%-", max_size=5)),
        ),
        max_size=20,
    )
)
def test_what_is_written_for_dovecot_is_what_is_read(
    wanted: dict[int, tuple[str, str, str | None]],
) -> None:
    lines = [
        dovecot.entry(uid, fields, unique_id, f"{uid}.{base}")
        for uid, (base, fields, unique_id) in sorted(wanted.items())
    ]
    data = dovecot.text_of(77, 10**6 + 1, "Gabc", lines)
    found = dovecot.parse(data.decode("utf-8", "surrogateescape"))
    assert (found.uid_validity, found.uid_next, found.header) == (77, 10**6 + 1, "Gabc")
    assert found.uids == {f"{uid}.{base}": uid for uid, (base, _, _) in wanted.items()}
    assert found.unique_ids == {
        uid: text or f"{uid}.{base}" for uid, (base, _, text) in wanted.items() if text is not None
    }
    assert found.doubts == ()


# ---- unique-ids --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (USUAL, "0000001163f2b5c0"),
        ("%08Xv%08Xu", "63f2b5c000000011"),
        ("%{uid | hex(8)}%{uidvalidity | hex(8)}", "0000001163f2b5c0"),
        ("%v.%u", "1676850624.17"),
        ("%{uidvalidity}.%{uid}", "1676850624.17"),
        ("UID%u-%v", "UID17-1676850624"),
        ("%f", "1.M2.host,S=3"),
        ("%g", "0a1b"),
        ("%{guid}", "0a1b"),
        ("%5f%%%Xu", "1.M2.%11"),
        ("%LUu-%Rf", "17-3=S,tsoh.2M.1"),
    ],
)
def test_a_pattern_makes_what_dovecot_makes(form: str, text: str) -> None:
    assert Pattern(form).text(17, 0x63F2B5C0, "1.M2.host,S=3", "0a1b") == text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("", "does not tell messages apart"),
        ("%v", "does not tell messages apart"),
        ("%m", "headers in an mbox"),
        ("%{md5}", "headers in an mbox"),
        ("%u%x", "'%x' at 3 is not known"),
        ("%u%", "'%' at 3 is not known"),
        ("%Qu", "'%Qu' at 1 is not known"),
        ("%{uid | sha1}", "is not known"),
        ("%2.8u", "is not known"),
    ],
)
def test_a_pattern_that_cannot_be_followed_is_told(form: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Pattern(form)
    assert said in str(caught.value)


@given(st.text("%uvfgm{}| hex(8)0123XMLRid.é", max_size=20))
def test_a_pattern_is_refused_or_can_be_followed(form: str) -> None:
    try:
        pattern = Pattern(form)
    except ValueError:
        return
    texts = {pattern.text(uid, 5, f"{uid}.host", "") for uid in (1, 2)}
    assert texts


def test_unique_ids_are_one_message_s_each() -> None:
    """DS-15: one that two have is the first one's; none looks like what another will have."""
    listed = UidList(
        0x5F,
        30,
        {},
        "dovecot",
        unique_ids={
            1: "same",
            2: "same",
            3: "two words",
            4: "",
            5: "x" * 256,
            6: "000000060000005f",
            7: "000000080000005f",
            8: "caf\u00e9",
            9: "fine",
        },
    )
    assert uniqueids.kept(listed, 0x5F, None) == ({1: "same", 9: "fine"}, 6)


# ---- Courier -----------------------------------------------------------------------------------


def test_courier_s_pop3_list_is_read_in_all_its_forms() -> None:
    rest = "b.host:2,S 21 2:1700:0\na host:2, 21 1:1700:0\nc.host 9 7:0\nd+e.host 4 0:0:0\nx\n\n"
    assert courier.parse_sizes("/3 8 1700\n" + rest) == {
        "d+e.host": "d+2Be.host",
        "a host": "UID1-1700",
        "b.host": "UID2-1700",
        "c.host": "UID7",
    }
    assert courier.parse_sizes("some.host 17\n") == {}
    assert courier.parse_sizes("") == {}


def test_messages_that_only_pop3_has_seen_get_the_uids_that_follow() -> None:
    imap = courier.parse("1 555 30\n7 a.host\n")
    found = courier.with_unique_ids(imap, {"n.host": "UID1-9", "a.host": "UID2-9"})
    assert (found.uid_validity, found.uid_next) == (555, 31)
    assert found.uids == {"a.host": 7, "n.host": 30}
    assert found.unique_ids == {30: "UID1-9", 7: "UID2-9"}
    alone = courier.with_unique_ids(None, {"n.host": "UID1-9", "a.host": "UID2-9"})
    assert (alone.uid_validity, alone.uids) == (0, {"n.host": 1, "a.host": 2})


def test_courier_s_keywords_are_read_and_nonsense_is_told() -> None:
    found = courier.parse_keywords("Work\n$Label1\n\na.host,S=1:1 0\nb:c.host:1\nc:9\nd\n")
    assert found.names == ["Work", "$Label1"]
    assert found.places == {"a.host,S=1": {0, 1}, "b:c.host": {1}}
    assert found.doubts == ("line makes no sense and is passed over (line 6 and 1 more)",)


@given(st.text("ab :\n/3.0é", max_size=60))
def test_courier_s_files_may_say_anything(text: str) -> None:
    courier.parse_sizes("/3 1 1\n" + text)
    found = courier.parse_keywords(text)
    assert all(place < len(found.names) for places in found.places.values() for place in places)
    assert all(name for name in courier.subscriptions("INBOX." + text))
