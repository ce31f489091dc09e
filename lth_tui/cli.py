"""The command line."""

import contextlib
import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

from engine import paths, plugins
from engine.errors import BadInput, InvariantViolated, LabError
from engine.spec import MAX_STUDY_BYTES, Study, decode_study, load_study, parse_study, preset_names, preset_text
from engine.store import KEPT_DAYS, Store
from engine.views import StudyRun, compare_json, compared_arms, parse_filter, read_run, summary_json
from lth_tui.python import open as open_lab
from lth_tui.settings import SettingsFile
from lth_tui.terminal import is_plain, is_terminal, lose_output, outlive, print_what_can_be

FIRST_STUDY = "quickstart"
DONE, FAILED, BAD_INPUT, BROKEN_GUARD, STOPPED, NO_READER = 0, 1, 2, 3, 130, 141
STANDARD = "-"
"""In the place of a file: standard input or output."""
_COMPLETE = "_LTH_TUI_COMPLETE"
"""The variable in which a shell asks for completion."""
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


def main() -> int:
    """Run the command line; the exit code: 0 done, 2 bad input, 3 a guard broke, 130 stopped by the user, 141 nobody
    reads its output any longer, as the shell has it;
    by SystemExit 143, stopped by SIGTERM, and 129, goes on without the terminal that has gone."""
    outlive()
    try:
        code = _main()
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output has gone: nothing is left to be said, also not at interpreter exit.
        lose_output()
        return NO_READER
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        lose_output()
        return _fail(f"standard output: cannot be written: {error.strerror}", FAILED)


def _main() -> int:
    try:
        if asked := os.environ.get(_COMPLETE):
            return shell_complete(command_line, {}, "lth-tui", _COMPLETE, asked)
        # Not its `main`, which ends the process with 1 where a pipe is closed.
        with command_line.make_context("lth-tui", sys.argv[1:]) as context:
            outcome: Any = command_line.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "lth-tui"
        return _fail(f"{error.format_message()} (see {command} --help)", BAD_INPUT)
    except click.exceptions.Abort:
        return STOPPED
    except BadInput as error:
        return _fail(str(error), BAD_INPUT)
    except InvariantViolated as error:
        return _fail(str(error), BROKEN_GUARD)
    except (LabError, click.ClickException) as error:
        return _fail(str(error), FAILED)
    except KeyboardInterrupt:
        return STOPPED
    return outcome if isinstance(outcome, int) else DONE


def _fail(line: str, code: int) -> int:
    with contextlib.suppress(OSError):  # nobody hears it, but for the exit code
        click.echo(f"lth-tui: {_one_line(line)}", err=True)
    return code


def _one_line(text: str) -> str:
    """`text` without line breaks and control characters, which names from outside may hold."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))


def _terminal_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What the terminal can do, where it is not found out."""
    for name, words in (
        ("ssh", "fewer frames, for a slow line; on by itself over SSH"),
        ("ascii", "nothing but ASCII; on by itself where the locale is not UTF-8"),
    ):
        option = click.option(f"--{name}/--no-{name}", default=None, envvar=f"LTH_TUI_{name.upper()}", help=words)
        command = option(command)
    return command


def _load_plugins(context: click.Context, _: click.Parameter, files: tuple[str, ...]) -> None:
    """Load what `--plugin` names; before the command, what the settings and installed packages have too."""
    if context.resilient_parsing:
        return
    if context.parent is None:
        file = SettingsFile(paths.settings_file())
        plugins.load([file.path.parent / Path(name).expanduser() for name in file.read().plugins])
        plugins.load_inherited()
    plugins.load(files)


_plugin_option = click.option(
    "--plugin",
    "plugin_files",
    multiple=True,
    metavar="FILE",
    callback=_load_plugins,
    expose_value=False,
    help="a Python file that registers entries; may be given several times",
)


def _complete_runs(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The runs whose names begin so."""
    try:
        names = Store(paths.home()).names()
    except (LabError, OSError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(begun)]


def _complete_studies(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The presets whose names begin so, and files."""
    found = [CompletionItem(name) for name in preset_names() if name.startswith(begun)]
    return found if parameter.name == "name" else [*found, CompletionItem(begun, type="file")]


def _complete_data(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The data sets whose names begin so."""
    from engine import datasets

    return [CompletionItem(name) for name in (*datasets.names(), "folder:") if name.startswith(begun)]


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@_terminal_options
@_plugin_option
@click.pass_context
def command_line(context: click.Context, ascii: bool | None, ssh: bool | None) -> int | None:
    """A laboratory for the lottery ticket hypothesis in a terminal.

    Without a command: opens the interface with the quickstart study ready; without a terminal, runs that study.
    """
    print_what_can_be(ascii=is_plain(os.environ) if ascii is None else ascii)
    context.obj = {"ascii": ascii, "ssh": ssh}
    if context.invoked_subcommand is not None:
        return None
    if is_terminal():
        from lth_tui.app import open_interface

        return open_interface(paths.home(), FIRST_STUDY, ascii=ascii, ssh=ssh)
    return _run(FIRST_STUDY, (), None, as_json=False)


@command_line.command()
@click.argument("study", shell_complete=_complete_studies)
@_plugin_option
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="e.g. base.train.iterations=2000")
@click.option("--name", help="what to call the run")
@click.option("--json", "as_json", is_flag=True, help="one event a line on stdout, and nothing else")
@click.option("--detach", is_flag=True, help="in a process without this terminal; `lth-tui attach` follows it")
def run(study: str, settings: tuple[str, ...], name: str | None, as_json: bool, detach: bool) -> int:
    """Run STUDY, a preset's name or a TOML file, - for one on standard input, here in the terminal.

    Ctrl-c stops it at a checkpoint, from where `lth-tui resume` goes on; rounds that are done are never trained again.
    Where the terminal goes away, it goes on without.
    """
    return _run(study, settings, name, as_json=as_json, detach=detach)


def _run(study: str, settings: tuple[str, ...], name: str | None, *, as_json: bool, detach: bool = False) -> int:
    from lth_tui.headless import run_headless

    _refuse_both(as_json, detach)
    found = _study(study, settings)
    return _code(run_headless(found, Store(paths.home()), name, as_json=as_json, detach=detach))


def _study(name: str, settings: tuple[str, ...]) -> Study:
    """The study of a preset's name or a file, or that on standard input; what is left out of it is printed."""

    def note(words: str) -> None:
        click.echo(f"note: {_one_line(words)}", err=True)

    if name != STANDARD:
        return load_study(name, settings, note)
    source = "standard input"
    text = decode_study(_standard_input().read(MAX_STUDY_BYTES + 1), source)
    return parse_study(text, source=source, settings=settings, note=note)


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise BadInput("standard input: it is closed; allowed: a file")
    return sys.stdin.buffer


def _refuse_both(as_json: bool, detach: bool) -> None:
    if as_json and detach:
        raise BadInput("--json with --detach: there is nobody to read the events; allowed: one of them")


def _code(status: str) -> int:
    return {"stopped": STOPPED, "failed": FAILED, "interrupted": FAILED}.get(status, DONE)


@command_line.command()
@click.argument("run", shell_complete=_complete_runs)
@_plugin_option
@click.option("--json", "as_json", is_flag=True, help="one event a line on stdout, and nothing else")
@click.option("--detach", is_flag=True, help="in a process without this terminal; `lth-tui attach` follows it")
def resume(run: str, as_json: bool, detach: bool) -> int:
    """Go on with RUN where it was stopped, interrupted or failed.

    In the end all of it, but for times, is as if it had never been interrupted.
    """
    from lth_tui.headless import resume_headless

    _refuse_both(as_json, detach)
    return _code(resume_headless(run, Store(paths.home()), as_json=as_json, detach=detach))


@command_line.command()
@click.argument("run", shell_complete=_complete_runs)
@_terminal_options
@click.pass_obj
def attach(before: dict[str, bool | None], run: str, **given: bool | None) -> int:
    """Follow RUN, whatever process works on it: in the interface, which pauses and stops it from here.

    Without a terminal, follows it to its end and prints what it found. Leaving does not end the run.
    """
    if is_terminal():
        from lth_tui.app import open_interface

        known = {name: before[name] if value is None else value for name, value in given.items()}
        return open_interface(paths.home(), run=run, **known)
    from lth_tui.headless import follow_headless

    return _code(follow_headless(run, Store(paths.home())))


@command_line.command()
@click.argument("name", required=False, shell_complete=_complete_studies)
def presets(name: str | None) -> None:
    """List the presets, or print the TOML of the preset NAME."""
    if name is not None:
        click.echo(preset_text(name), nl=False)
        return
    from lth_tui.printing import print_presets

    print_presets({name: load_study(name) for name in preset_names()})


@command_line.command(context_settings={"ignore_unknown_options": True})
@click.argument("wanted", metavar="[FILTER]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="as JSON")
def runs(wanted: tuple[str, ...], as_json: bool) -> None:
    """List the runs, the newest first; those that FILTER lets through.

    A filter is what is typed after / in Runs: words of names and notes, status:running,paused dataset:mnist arm:reinit,
    acc>0.98 rounds<10 took>1h age<2d, and - before any of them for those without.
    """
    only = parse_filter(" ".join(wanted))
    found = only.of(Store(paths.home()).runs())
    if as_json:
        click.echo(json.dumps([summary_json(item) for item in found], indent=1))
        return
    from lth_tui.printing import print_runs

    print_runs(found, filtered=bool(wanted))


@command_line.command()
@click.argument("run", shell_complete=_complete_runs)
def delete(run: str) -> None:
    """Put RUN into the trash, from where `lth-tui restore` brings it back.

    What was deleted more than 30 days ago goes for good then. Finished rounds stay: other runs share them.
    """
    Store(paths.home()).delete(run)
    click.echo(f"{run} is in the trash for {KEPT_DAYS} days; to bring it back: lth-tui restore {run}")


@command_line.command()
@click.argument("run", required=False)
def restore(run: str | None) -> None:
    """Bring back the run that was deleted last, or RUN."""
    name = Store(paths.home()).restore(run)
    click.echo(f"{name} is back; look at it: lth-tui show {name}")


@command_line.command()
@click.argument("run", shell_complete=_complete_runs)
@_plugin_option
@click.option("--json", "as_json", is_flag=True, help="as JSON")
def show(run: str, as_json: bool) -> None:
    """Show what RUN found: its title and note, its table, accuracy against P_m, and what the numbers say."""
    found = open_lab().open_run(run)
    if as_json:
        click.echo(json.dumps(found.to_json(), allow_nan=False))
        return
    from lth_tui.printing import print_run

    said = [words for words in (found.title, *found.note.splitlines()) if words]
    print_run(found.view, found.status, found.study, said)


@command_line.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=_complete_runs)
@click.option("--to", "base", metavar="ARM", help="compare with this arm; of several runs with a number, as '2 ticket'")
@click.option("--json", "as_json", is_flag=True, help="as JSON")
def compare(runs: tuple[str, ...], base: str | None, as_json: bool) -> None:
    """Lay the arms of one or several RUNs over each other: accuracy at each P_m, and how much it is above dense.

    Differences are taken within trials of the same seed.
    """
    store = Store(paths.home())
    found: list[StudyRun] = []
    for run in dict.fromkeys(runs):
        with store.open(run) as folder:
            found.append(StudyRun(read_run(folder), folder.study()))
    names = [track.name for track in compared_arms(found)]
    if base is not None and base not in names:
        raise BadInput(f"--to {base!r}: there is no such arm; allowed: {', '.join(names)}")
    if as_json:
        click.echo(json.dumps(compare_json(found, base), allow_nan=False))
        return
    from lth_tui.comparing import print_comparison

    print_comparison(found, base)


@command_line.command()
@click.argument("run", shell_complete=_complete_runs)
@click.option("--json", "as_json", is_flag=True, help="as JSON")
def claims(run: str, as_json: bool) -> None:
    """Score what the paper and the article found against RUN."""
    from engine.claims import judge, verdict_rows

    found = open_lab().open_run(run)
    verdicts = judge(found.view, found.study)
    if as_json:
        click.echo(json.dumps(verdict_rows(verdicts), allow_nan=False, indent=1))
        return
    from lth_tui.verdicts import print_claims

    print_claims(run, found.status, found.study, verdicts)


@command_line.command()
@click.option("--quick", is_flag=True, help="the presets' short twins, which fit two cores")
@click.option("--data", "instead", multiple=True, metavar="NAME=OTHER", help="e.g. cifar10=folder:pictures")
@click.option("--json", "as_json", is_flag=True, help="the verdicts as JSON, and nothing else on stdout")
def reproduce(quick: bool, instead: tuple[str, ...], as_json: bool) -> int:
    """Run the article's experiments in order, and score what they found.

    What was done before is not run again; stopped, the list goes on where it was when it is asked for again.
    """
    from lth_tui.reproduce import experiment_rows, read_instead, reproduce
    from lth_tui.verdicts import print_reproduction

    store = Store(paths.home())
    found = list(reproduce(store, quick=quick, instead=read_instead(instead), quiet=as_json))
    if as_json:
        click.echo(json.dumps(experiment_rows(found), allow_nan=False, indent=1))
    else:
        print_reproduction(found)
    if found and found[-1].status == "stopped":
        return STOPPED
    return DONE if all(item.status == "done" for item in found) else FAILED


@command_line.command()
@click.argument("run", shell_complete=_complete_runs)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def bundle(run: str, file: Path) -> None:
    """Put RUN into FILE, a bundle that another machine can open: its study, events, curves and rounds.

    With - for FILE, it is written to standard output.
    """
    from engine.export import write_bundle
    from lth_tui.headless import progress_bar
    from screens.text import size

    store, standard = Store(paths.home()), str(file) == STANDARD
    if standard and (sys.stdout is None or sys.stdout.isatty()):
        raise BadInput("bundle to standard output: it is a terminal or closed; allowed: a file or a pipe")
    with _passing(store.home) if standard else contextlib.nullcontext(file) as path:
        with progress_bar(f"bundling {run}") as report:
            made = write_bundle(run, store, path, report)
        if standard:
            with path.open("rb") as packed:
                shutil.copyfileobj(packed, sys.stdout.buffer)
    missing = f" ({made.missing} more are missing or damaged here)" if made.missing else ""
    held = f"{made.events} events, {made.points} validations and {made.rounds} rounds{missing}, {size(made.unpacked)}"
    where = "on standard output" if standard else f"in {file}"
    click.echo(_one_line(f"{made.run}: {held}, are {where}, {size(made.size)}"), err=standard)


@contextlib.contextmanager
def _passing(home: Path) -> Iterator[Path]:
    """A name for a file on its way from or to a pipe, below the home, gone at the end."""
    try:
        paths.make_folder(home)
        folder = tempfile.TemporaryDirectory(dir=home, prefix=".passing-")
    except OSError as error:
        raise BadInput(f"{home}: cannot be written: {error.strerror}") from None
    with folder as name:
        yield Path(name) / "bundle"


@command_line.command("open")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
def open_run(file: Path) -> None:
    """Bring the run of the bundle FILE, - for one on standard input, into the store, once all of it is checked.

    Later studies take its rounds for known ones, as they do those that were trained here: open the bundles of people
    whose results you would build on.
    """
    from engine.export import open_bundle
    from lth_tui.headless import progress_bar
    from screens.text import size

    store, standard = Store(paths.home()), str(file) == STANDARD
    with _passing(store.home) if standard else contextlib.nullcontext(file) as path:
        if standard:
            try:
                with path.open("xb") as packed:
                    shutil.copyfileobj(_standard_input(), packed)
            except OSError as error:
                raise LabError(f"standard input: cannot be kept below {store.home}: {error.strerror}") from None
        with progress_bar("opening") as report:
            found = open_bundle(path, store, report)
    click.echo(
        f"{found.run}: {found.events} events and {found.new + found.known} rounds, {found.known} of them known before, "
        f"{size(found.size)}; look at it: lth-tui show {found.run}"
    )


@command_line.command()
def settings() -> None:
    """Print the settings, as the TOML that their file can have."""
    from lth_tui.setting_out import settings_toml

    click.echo(settings_toml(SettingsFile(paths.settings_file())), nl=False)


@command_line.group(invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> None:
    """List the data sets, or prepare one."""
    if context.invoked_subcommand is None:
        context.invoke(list_data)


@data.command("list")
def list_data() -> None:
    """List the data sets and whether each is ready."""
    from engine import datasets
    from lth_tui.printing import print_data

    print_data(datasets.catalogue(paths.home()))


@data.command("prepare")
@click.argument("name", shell_complete=_complete_data)
@click.option("--from", "source", type=click.Path(path_type=Path), help="folder with the original files")
def prepare_data(name: str, source: Path | None) -> None:
    """Bring the data set NAME into the form that loads at once: downloaded, or from the original files.

    Prints how many examples of each class its parts have, and what was left out, converted and guessed.
    """
    from engine import datasets
    from lth_tui.headless import prepare_with_progress
    from lth_tui.printing import print_contents

    folder = prepare_with_progress(name, paths.home(), source)
    print_contents(datasets.contents(name, paths.home()))
    click.echo(f"{name} is ready in {folder}")


@command_line.command()
@click.argument("kind", required=False)
@click.argument("name", required=False)
@_plugin_option
@click.option("--json", "as_json", is_flag=True, help="as JSON")
def describe(kind: str | None, name: str | None, as_json: bool) -> None:
    """Describe what a study may name: all entries, those of KIND (such as criterion), or the one called NAME."""
    from lth_tui.describe import describe_json, describe_text

    if as_json:
        click.echo(json.dumps(describe_json(kind, name), indent=1))
    else:
        click.echo(describe_text(kind, name))


@command_line.command()
@click.option("--repair", is_flag=True, help="repair problems of the store; nothing readable is deleted")
def doctor(repair: bool) -> int:
    """Tell what this machine has for the laboratory, and what is amiss, also in the store.

    All runs and rounds are read and checked, which takes its time where there are many.
    """
    from lth_tui.doctor import examine

    return DONE if examine(paths.home(), repair=repair) else FAILED


@command_line.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what completes commands, options, runs, presets and data sets in SHELL.

    bash and zsh: eval "$(lth-tui completion SHELL)" in ~/.bashrc or ~/.zshrc; fish: lth-tui completion fish | source
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(command_line, {}, "lth-tui", _COMPLETE).source())


def _with_version(command: click.Command) -> None:
    """Let a command, and those below it, print the version."""
    click.version_option(package_name="lth-tui")(command)
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _with_version(below)


_with_version(command_line)
