"""The command ``imeasure-server``."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from imeasure_server import __version__, models_cli

if TYPE_CHECKING:
    from imeasure_server.settings import ServerSettings
    from imeasure_server.store.database import Database

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
FORCED_CLOSE_SECONDS = 2.0

app = typer.Typer(
    help="Click-to-segment and measure on CT. Every option is also a variable IMEASURE_*; the command line wins.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(models_cli.app, name="models")
keys = typer.Typer(help="The keys of customers. Only their SHA-256 is kept.", no_args_is_help=True)
app.add_typer(keys, name="keys")

Host = Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one. [default: 8000]")]
Device = Annotated[
    str | None,
    typer.Option(help="auto, cpu, mps, cuda or cuda:N; several with commas, one worker each. [default: auto]"),
]
Workspace = Annotated[Path | None, typer.Option(help="Folder for what the server keeps. [default: a folder of yours]")]
Engine = Annotated[str | None, typer.Option(help="Segmentation engine, see `models list`. [default: the best one]")]
RequireKey = Annotated[bool | None, typer.Option("--require-api-key", help="Ask for a key on this machine as well.")]
Insecure = Annotated[bool | None, typer.Option("--insecure", help="Let other machines in without a key.")]
Keys = Annotated[
    list[str] | None,
    typer.Option("--api-key", help="A key that is let in; repeat for more. Variable: IMEASURE_API_KEYS, with commas."),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        help="postgresql://USER:PASSWORD@HOST/DATABASE; better given as IMEASURE_DATABASE_URL, which other users of "
        "this machine do not see. [default: SQLite in the workspace]"
    ),
]
RatesOption = Annotated[
    str | None, typer.Option("--rates", help="JSON file with what calls cost. [default: the contract]")
]
NoBilling = Annotated[bool | None, typer.Option("--no-billing", help="Charge nothing: every rate is 0.")]
LogLevel = Annotated[str | None, typer.Option(help="debug, info, warning or error. [default: info]")]
AdminHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--admin-hosts",
        "--admin_hosts",
        help="Addresses of clients that may change models; repeat or use commas. [default: *]",
    ),
]
AutoReload = Annotated[
    bool | None,
    typer.Option("--auto-reload", "--auto_reload", help="Notice models that other servers put into this workspace."),
]
SessionSources = Annotated[
    list[str] | None,
    typer.Option(help="Hosts that a session's image may be fetched from: HOST, HOST:PORT or *.DOMAIN. [default: none]"),
]
Studies = Annotated[
    Path | None,
    typer.Option(help="Folder of images that MONAI Label clients are offered. [default: one in the workspace]"),
]
GpuMemory = Annotated[
    int | None, typer.Option("--gpu-memory-bytes", help="That models may take on a GPU. [default: nearly all]")
]
OhifLayout = Annotated[
    bool | None, typer.Option("--ohif-layout", help="Answer OHIF-AI's own page in the array order that it expects.")
]
PageOrigins = Annotated[
    list[str] | None,
    typer.Option(help="Web pages from elsewhere that may use this server: http://HOST:PORT, or *. [default: none]"),
]
QueueSize = Annotated[int | None, typer.Option(help="Requests that may wait for each worker. [default: 16]")]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    """Click-to-segment and measure on CT. Every option is also a variable IMEASURE_*; the command line wins."""
    if show:
        typer.echo(f"imeasure-server {__version__}")
        raise typer.Exit


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    device: Device = None,
    workspace: Workspace = None,
    engine: Engine = None,
    require_api_key: RequireKey = None,
    insecure: Insecure = None,
    api_key: Keys = None,
    database_url: DatabaseUrl = None,
    rates: RatesOption = None,
    no_billing: NoBilling = None,
    log_level: LogLevel = None,
    queue_size: QueueSize = None,
    admin_hosts: AdminHosts = None,
    auto_reload: AutoReload = None,
    session_sources: SessionSources = None,
    studies: Studies = None,
    gpu_memory_bytes: GpuMemory = None,
    ohif_layout: OhifLayout = None,
    page_origins: PageOrigins = None,
) -> None:
    """Start the server. Ctrl-C finishes what runs and ends it."""
    settings = _settings(
        host=host,
        port=port,
        device=device,
        workspace=workspace,
        engine=engine,
        require_api_key=require_api_key,
        insecure=insecure,
        api_keys=api_key or None,
        database_url=database_url,
        rates=rates,
        no_billing=no_billing,
        log_level=log_level,
        queue_size=queue_size,
        admin_hosts=admin_hosts or None,
        auto_reload=auto_reload,
        session_sources=session_sources or None,
        studies=studies,
        gpu_memory_bytes=gpu_memory_bytes,
        ohif_layout=ohif_layout,
        page_origins=page_origins or None,
    )
    if settings.problem is not None:
        _fail(settings.problem, MISUSED)
    if settings.api_keys and not settings.asks_for_key:
        typer.echo(
            "Only /v3 asks for the keys; by others they are not asked for: add --require-api-key, or leave out "
            "--insecure.",
            err=True,
        )
    _run(settings)


@app.command()
def doctor(
    host: Host = None,
    port: Port = None,
    device: Device = None,
    workspace: Workspace = None,
    engine: Engine = None,
    require_api_key: RequireKey = None,
    insecure: Insecure = None,
    api_key: Keys = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Look at everything a server needs, and say what is wrong."""
    from imeasure_server.doctor import examine

    settings = _settings(
        host=host,
        port=port,
        device=device,
        workspace=workspace,
        engine=engine,
        require_api_key=require_api_key,
        insecure=insecure,
        api_keys=api_key or None,
        database_url=database_url,
    )
    ill = []
    for finding in examine(settings):
        typer.echo(f"{'ok   ' if finding.is_well else 'WRONG'} {finding.subject:<10} {finding.sentence}")
        if not finding.is_well:
            ill.append(finding.subject)
    if ill:
        _fail(f"Not well: {', '.join(ill)}.", FAILED)
    typer.echo("All is well.")


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Of the customer.")],
    workspace: Workspace = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a key, and show it this once."""
    from imeasure_server.store.keys import Keys

    with _open_database(workspace, database_url) as database:
        made = Keys(database).create(name)
    typer.echo(made.secret)
    typer.echo(f"This is key {made.id} of {made.name}. Keep it: it is shown only now.", err=True)


@keys.command("list")
def list_keys(workspace: Workspace = None, database_url: DatabaseUrl = None) -> None:
    """Every key's id, name, age, last use (to the hour) and whether it is in use. Times are UTC."""
    from imeasure_server.store.keys import Keys

    with _open_database(workspace, database_url) as database:
        rows = [
            (
                str(key.id),
                key.name,
                _moment(key.created),
                _moment(key.last_used),
                "in use" if key.revoked is None else f"revoked {_moment(key.revoked)}",
            )
            for key in Keys(database).list()
        ]
    _table(("ID", "NAME", "CREATED", "LAST USED", "STATE"), rows)


@keys.command("revoke")
def revoke_key(
    id: Annotated[str, typer.Argument(help="Id or name, see `keys list`.")],
    workspace: Workspace = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let a key in no more, at once, on every server of this database."""
    from imeasure_server.store.keys import Keys

    with _open_database(workspace, database_url) as database:
        revoked = Keys(database).revoke(id)
    typer.echo(f"Key {revoked.id} of {revoked.name} is revoked since {_moment(revoked.revoked)} UTC.")


@app.command()
def usage(
    month: Annotated[str | None, typer.Option(help="YYYY-MM, in UTC. [default: this month]")] = None,
    workspace: Workspace = None,
    database_url: DatabaseUrl = None,
) -> None:
    """What every customer used in a month: billed calls, free rechecks, and the sum in dollars."""
    from imeasure_server.store.rates import Rates
    from imeasure_server.store.usage import Usage, month_of

    wanted = month or month_of(datetime.now(timezone.utc))
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", wanted) is None:
        _fail("--month: Give a month as YYYY-MM.", MISUSED)
    with _open_database(workspace, database_url) as database:
        rows = [
            (
                *(str(use.key_id), use.name, str(use.single), str(use.session), str(use.rechecks)),
                f"{use.cents // 100}.{use.cents % 100:02d}",
            )
            for use in Usage(database, Rates.free()).month(wanted)
        ]
    _table(("KEY", "NAME", "SINGLE", "SESSION", "RECHECKS", "DOLLARS"), rows)


@contextmanager
def _open_database(workspace: Path | None, database_url: str | None) -> Iterator[Database]:
    """The database of these options; what goes wrong with it is a sentence."""
    from imeasure_server.store import database as store
    from imeasure_server.store.keys import KeyProblem

    database = store.Database(store.database_url(_settings(workspace=workspace, database_url=database_url)))
    try:
        database.open()
        yield database
    except store.StoreUnavailable as error:
        _fail(str(error))
    except KeyProblem as error:
        _fail(str(error), MISUSED)
    finally:
        database.close()


def _moment(moment: datetime | None) -> str:
    return "never" if moment is None else moment.strftime("%Y-%m-%d %H:%M")


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _settings(**given: Any) -> ServerSettings:
    """The settings: what was given on the command line over ``IMEASURE_*`` variables over defaults."""
    from pydantic import ValidationError

    from imeasure_server.settings import ServerSettings

    try:
        return ServerSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        sentences = []
        for entry in error.errors(include_input=False):
            name = str(entry["loc"][0])
            option = f"--{name.replace('_', '-')}" if given.get(name) is not None else f"IMEASURE_{name.upper()}"
            within = ".".join(str(part) for part in entry["loc"][1:])
            sentence = entry["msg"].removeprefix("Value error, ")
            sentences.append(f"{option}: {within}: {sentence}" if within else f"{option}: {sentence}")
        _fail("\n".join(sentences), MISUSED)


def _run(settings: ServerSettings) -> None:
    """Start workers and server; both load at the same time."""
    from imeasure_server.listening import AddressUnavailable, listen, url_of
    from imeasure_server.logging_setup import set_up_logging
    from imeasure_server.models.pool import InferencePool, WorkerStartError
    from imeasure_server.store.database import StoreUnavailable

    set_up_logging(settings.log_level)
    try:
        settings.workspace.mkdir(parents=True, exist_ok=True)
        listener = listen(settings.host, settings.port)
    except OSError as error:
        _fail(f"The workspace {settings.workspace} cannot be made ({error.strerror}). Choose one with --workspace.")
    except AddressUnavailable as error:
        _fail(str(error))
    pool = InferencePool(settings.workers, settings.queue_size)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _prepare_database(settings)  # before the workers: without it nothing else needs to be said
        pool.start()
        from imeasure_server.app import create_app
        from imeasure_server.serving import serve as serve_until_signal

        application = create_app(settings, pool)
        pool.wait_until_ready()
        url = url_of(listener)
        if not serve_until_signal(application, listener, lambda: typer.echo(f"IMeasure server ready at {url}")):
            _fail("Ended before every request was answered.", INTERRUPTED)
    except StoreUnavailable as error:
        _fail(str(error))
    except WorkerStartError as error:
        _fail(str(error), MISUSED)
    except KeyboardInterrupt:
        typer.echo("Stopped while starting.", err=True)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):  # what is left takes no longer than this
            signal.signal(number, signal.SIG_IGN)
        pool.close(FORCED_CLOSE_SECONDS)
        listener.close()


def _prepare_database(settings: ServerSettings) -> None:
    """Make or change its tables before there is an application, so that what is wrong is one sentence.

    Raises:
        StoreUnavailable: see `Database.open`.
    """
    from imeasure_server.store.database import Database, database_url

    database = Database(database_url(settings))
    try:
        database.open()
    finally:
        database.close()


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM before there is anything to finish: the same as Ctrl-C."""
    raise KeyboardInterrupt


def _fail(sentence: str, status: int = FAILED) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(status)


def main() -> None:
    """Entry point of the console script."""
    app()
