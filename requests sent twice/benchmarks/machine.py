"""What the figures were measured on. No name of the machine, and no path."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("httpx", "anyio", "h11", "msgspec", "pyyaml", "tqdm", "aiohttp", "aiometer")


def described() -> str:
    """Return cores, processor, memory, system and versions, as a sentence each."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release, _, _ = platform.release().partition("-")
    return (
        f"{os.cpu_count()} cores of {_processor()}, {memory:.0f} GiB of memory, "
        f"{platform.system()} {release}, {platform.machine()}. "
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"{', '.join(map(_version, LIBRARIES))}."
    )


def when(seconds: float) -> str:
    """Return the date, what a measurement took, and how busy the machine is at its end."""
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return f"*({datetime.now(UTC):%Y-%m-%d}, in {seconds:.0f} s; {load}.)*"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "an unknown processor"


def _version(library: str) -> str:
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError:
        return f"no {library}"
