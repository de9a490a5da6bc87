"""A strict local stand-in for Amplitude's two regions: documented limits, checks, answers, dedup, and faults on demand.

`python -m amplitude_client.sandbox --port N` serves it; `Sandbox` runs it in a thread for tests. Nothing leaves the
machine. What Amplitude does not document is marked where it is decided.
"""

from amplitude_client.sandbox.server import Sandbox

__all__ = ["Sandbox"]
