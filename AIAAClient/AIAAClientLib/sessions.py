"""Which volume is at which server under which session: one upload for many questions."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Callable

from .nifti import FloatArray

LIMIT = 8
"""Sessions that are remembered at a time."""


@dataclass(frozen=True)
class Source:
    """A volume, or a region of one, that can be sent.

    Attributes:
        key: changes whenever its voxels or its geometry do.
        encode: (compressed) → the NIfTI file; called on the job's thread, and only when it must be sent.
        affine: 4x4, voxel to RAS mm of what is sent.
        shape: (i, j, k) voxels.
        owner: what the volume is called across its changes: a newer session replaces one of the same owner.
    """

    key: Hashable
    encode: Callable[[bool], memoryview]
    affine: FloatArray
    shape: tuple[int, int, int]
    owner: str = ""


class SessionBook:
    """Sessions by server and source. Safe to use from several threads."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[str, Hashable], tuple[str, str]] = {}
        self._withoutSessions: set[str] = set()
        self._lock = threading.Lock()
        self.uploading = threading.Lock()
        """Held while a volume is sent, so that a second question waits for that session instead of sending it again."""

    def find(self, server: str, source: Source) -> str:
        """Id of the session, "" when there is none."""
        with self._lock:
            return self._sessions.get((server, source.key), ("", ""))[0]

    def remember(self, server: str, source: Source, session: str) -> list[str]:
        """Note a new session; returns those of this server that it makes useless: of the same owner, or too many."""
        with self._lock:
            replaced = [key for key, (_, owner) in self._sessions.items() if key[0] == server and owner == source.owner]
            useless = [self._sessions.pop(key)[0] for key in replaced]
            self._sessions[(server, source.key)] = (session, source.owner)
            while len(self._sessions) > LIMIT:
                oldest = next(iter(self._sessions))
                dropped, _ = self._sessions.pop(oldest)
                if oldest[0] == server:
                    useless.append(dropped)
            return useless

    def forget(self, server: str, session: str) -> None:
        """A session is gone."""
        with self._lock:
            for key in [key for key, (known, _) in self._sessions.items() if key[0] == server and known == session]:
                del self._sessions[key]

    def takeAll(self, server: str) -> list[str]:
        """Forget all sessions of a server; returns their ids."""
        with self._lock:
            keys = [key for key in self._sessions if key[0] == server]
            return [self._sessions.pop(key)[0] for key in keys]

    def hasSessions(self, server: str) -> bool:
        """Whether a server keeps sessions; False once it has said that it does not."""
        with self._lock:
            return server not in self._withoutSessions

    def setWithoutSessions(self, server: str, without: bool = True) -> None:
        """A server keeps no sessions: the volume goes with every question. Or nobody knows yet (``without`` False)."""
        with self._lock:
            (self._withoutSessions.add if without else self._withoutSessions.discard)(server)
