"""`batchrun simulate`: serve the simulator on a port."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrun.base.values import parse_money, parse_rate
from batchrun.commands.options import Parser, simulator_missing, value
from batchrun.commands.signals import Interrupted
from batchrun.errors import UsageError

try:
    from batchrun.simulator.faults import parse_fault
    from batchrun.simulator.server import serve
    from batchrun.simulator.settings import Settings
    from batchrun.simulator.store import StateError
except ImportError as error:
    raise simulator_missing(error) from None

if TYPE_CHECKING:
    from batchrun.simulator.certificates import Tls


def main(argv: Sequence[str]) -> int:
    """Serve until a signal ends it."""
    options = parser().parse_args(argv)
    try:
        with _tls(options) as tls:
            serve(
                options.state,
                host=options.host,
                port=options.port,
                settings=_settings(options),
                tls=tls,
                say=partial(_say, authority=None if tls is None else tls.authority),
            )
    except (Interrupted, KeyboardInterrupt):
        return 0
    except (StateError, OSError, OverflowError) as error:
        raise UsageError(f"cannot serve on {options.host}:{options.port}: {error}") from error
    return 0


@contextmanager
def _tls(options: Any) -> Iterator["Tls | None"]:
    """Yield what https needs, None where it is not asked for."""
    if not options.tls:
        yield None
        return
    try:
        from batchrun.simulator.certificates import certified
    except ImportError as error:
        raise simulator_missing(error) from None
    with ExitStack() as stack:
        try:
            tls = stack.enter_context(certified(options.host))
        except UnicodeError as error:
            host = options.host
            raise UsageError(f"no certificate can be made for --host {host}: {error}") from error
        yield tls


def _speed(text: str) -> float:
    speed = float(text) if re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) else 0.0
    if speed <= 0:
        raise ValueError("expected a number above 0, such as 10 or 0.5")
    return speed


def _secret(text: str) -> str:
    if not text or not text.isascii():
        raise ValueError("expected a secret in ASCII, such as whsec_abc")
    return text


def parser() -> Parser:
    """Return the parser of its options."""
    made = Parser("simulate", description="Serve the simulator: nothing real is made.")
    made.add_argument("--host", default="127.0.0.1", help="default 127.0.0.1")
    made.add_argument("--port", type=int, default=8765, help="default 8765; 0 takes a free one")
    made.add_argument(
        "--tls", action="store_true", help="serve https, and say which file a client is to trust"
    )
    made.add_argument("--state", type=Path, metavar="FILE", help="keep the runs in this file")
    made.add_argument("--seed", type=int, default=0, help="decides durations and faults")
    made.add_argument(
        "--speed", type=value(_speed), default=1.0, metavar="X", help="divides how long runs take"
    )
    made.add_argument("--key", help="the one key to accept; without it any key is")
    made.add_argument("--balance", type=value(parse_money), metavar="USD", help="what is left")
    made.add_argument("--rate", type=value(parse_rate), metavar="R", help="429 beyond this")
    made.add_argument(
        "--batches",
        choices=("all", "some", "none"),
        default="some",
        help="which models take batches; default some, as documented",
    )
    made.add_argument(
        "--refuse-bad-items", action="store_true", help="422 to a batch with an item that is wrong"
    )
    made.add_argument(
        "--child-metadata", action="store_true", help="a batch's metadata is on its runs too"
    )
    made.add_argument(
        "--assumed-routes",
        action="store_true",
        help="serve also what no document names: a list of batches, and their cancellation",
    )
    made.add_argument(
        "--callback-secret",
        type=value(_secret),
        metavar="SECRET",
        help="sign callbacks with this; without it they are unsigned",
    )
    made.add_argument(
        "--fault",
        action="append",
        default=[],
        type=value(parse_fault),
        metavar="NAME[=VALUE][:SHARE][@CALLS][/ROUTE][~MODEL]",
        help="what to do wrong, such as lost_answer:10%% or list_lag=5; repeatable",
    )
    return made


def _settings(options: Any) -> Settings:
    balance: Decimal | None = options.balance
    return Settings(
        seed=options.seed,
        speed=options.speed,
        balance=balance,
        key=options.key,
        rate=None if options.rate is None else options.rate.per_second,
        batches=options.batches,
        refuse_bad_items=options.refuse_bad_items,
        child_metadata=options.child_metadata,
        assumed=options.assumed_routes,
        callback_secret=options.callback_secret,
        faults=tuple(options.fault),
    )


def _say(url: str, *, authority: Path | None) -> None:
    print(f"batchrun simulator on {url}; nothing real is made, any key will do", flush=True)
    if authority is not None:
        print(f"a client trusts it with SSL_CERT_FILE={authority}", flush=True)
