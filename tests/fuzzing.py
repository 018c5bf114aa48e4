"""Damaged files: what somebody made of a good one, byte by byte and member by member."""

from __future__ import annotations

import io
import resource
import signal
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import strategies as st

LONGEST_S = 10.0
MOST_BYTES = 2 << 30

# Numbers that sizes, counts and offsets of files do not survive, and words that mean something to a parser.
_TOKENS = [
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\0" * 16, b"\1\0\0\0",
    b"-1", b"0", b"1e400", b"NaN", b"null", b"true", b"[]", b"{}", b'""', b"99999999999", b"[[", b"}", b"<f8", b"|O",
    b"\\ud800", b"../..", b"PK\x03\x04",
]  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One change: at a share of the length, over a few bytes, of a kind, with a token."""

    kind: str
    place: float
    length: int
    token: bytes

    def apply(self, content: bytes) -> bytes:
        at = int(self.place * len(content))
        end = min(at + self.length, len(content))
        match self.kind:
            case "flip":
                return (
                    content[:at]
                    + bytes(byte ^ (self.token[0] | 1) for byte in content[at : at + 1])
                    + content[at + 1 :]
                )
            case "write":
                return content[:at] + self.token + content[at + len(self.token) :]
            case "insert":
                return content[:at] + self.token + content[at:]
            case "delete":
                return content[:at] + content[end:]
            case "repeat":
                return content[:end] + content[at:end] + content[end:]
            case "cut":
                return content[:at]
        raise ValueError(self.kind)


CHANGES = st.lists(
    st.builds(
        Change,
        st.sampled_from(["flip", "flip", "write", "write", "insert", "delete", "repeat", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 64),
        st.sampled_from(_TOKENS) | st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=5,
)


def damaged(content: bytes, changes: Sequence[Change]) -> bytes:
    """The file after all changes."""
    for change in changes:
        content = change.apply(content)
    return content


def damaged_member(archive: bytes, which: float, changes: Sequence[Change]) -> bytes:
    """The zip file with one member changed and a right checksum."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        members = [(info.filename, source.read(info)) for info in source.infolist()]
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as target:
        for number, (name, content) in enumerate(members):
            chosen = number == int(which * len(members))
            target.writestr(zipfile.ZipInfo(name), damaged(content, changes) if chosen else content)
    return result.getvalue()


@contextmanager
def little_memory() -> Iterator[None]:
    """No more than ``MOST_BYTES`` beside what is there."""
    with open("/proc/self/statm", encoding="ascii") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + MOST_BYTES, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@contextmanager
def little_time() -> Iterator[None]:
    """No more than ``LONGEST_S`` of the processor's time, whatever else it is doing."""

    def late(*_: object) -> None:
        raise AssertionError(f"still not done after {LONGEST_S} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
