"""The App: modes, the worker, and what happens when a screen asks for something."""

import asyncio
import contextlib
import gc
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from pkgutil import resolve_name

from rich.color import parse_rgb_hex
from rich.console import RenderableType
from rich.terminal_theme import TerminalTheme
from textual import work
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.driver import Driver
from textual.filter import LineFilter, Monochrome, NoColor
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from engine.errors import BadInput
from engine.spec import Study
from engine.store import Request, Store
from lth_tui.darker import Darker
from lth_tui.frugal import Frugal, Shown
from lth_tui.keymap import keymap
from lth_tui.palette import Presets, Runs, actions
from lth_tui.settings import Settings, SettingsFile
from lth_tui.themes import ON_DARK, ON_LIGHT, OWN, SIXTEEN, THEMES
from lth_tui.worker import Ended, Engine, Worker, execute
from screens.base import MODES, LabScreen
from screens.dialogs import HelpScreen, LeavingDialog, QuitDialog
from screens.keys import keyed, load_all
from screens.lab import Lab
from screens.messages import EditStudy, HideHint, OpenRun, PauseRun, ResumeRun, StartStudy, StopRun, TakeUpRun
from screens.text import plain

SCREENS = {
    "configure": "screens.configure:ConfigureScreen",
    "runs": "screens.runs:RunsScreen",
    "live": "screens.live:LiveScreen",
    "heatmaps": "screens.heatmaps:HeatmapsScreen",
    "ticket": "screens.ticket:TicketScreen",
    "compare": "screens.compare:CompareScreen",
}
"""Where the screens of the modes are: each is loaded when it is first opened, and that takes its time."""


DARKER = Darker()


class WorkerEnded(Message):
    """The worker's thread has finished with a run."""

    def __init__(self, ended: Ended):
        super().__init__()
        self.ended = ended


class LabApp(App[None]):
    """The laboratory in a terminal."""

    TITLE = "lth-tui"
    CSS_PATH = "styles.tcss"
    COMMANDS = App.COMMANDS | {Runs, Presets}

    BINDINGS = [
        *(
            Binding(str(number), f"mode('{mode}')", title, id=f"mode.{mode}", tooltip=f"Go to {title}", show=False)
            for number, (mode, title) in enumerate(MODES.items(), 1)
        ),
        Binding(
            "d",
            "detach",
            "Detach",
            id="detach",
            show=False,
            tooltip="The run at work goes on in a process without this terminal",
        ),
        Binding("question_mark,f1", "help", "Help", id="help", tooltip="The keys of this screen"),
        Binding("q", "quit", "Quit", id="quit", tooltip="Leave; asks while a run is at work"),
        Binding(
            "ctrl+q", "quit", "Quit", id="quit.anywhere", show=False, priority=True, tooltip="Leave, also from a field"
        ),
        Binding(
            "ctrl+l",
            "redraw",
            "Redraw",
            id="redraw",
            show=False,
            tooltip="The whole screen anew, where something else has written on it",
        ),
        Binding(
            "ctrl+z",
            "suspend",
            "Suspend",
            id="suspend",
            show=False,
            tooltip="Back to the shell for a while, where fg returns; in a form it undoes",
        ),
        Binding("ctrl+c", "quit", "Quit", id="quit.interrupt", show=False, system=True),
        Binding(
            "ctrl+p",
            "command_palette",
            "palette",
            id="palette",
            show=False,
            priority=True,
            tooltip="Every action, run, preset and theme, by its name",
        ),
    ]

    def __init__(
        self,
        home: Path,
        *,
        study: Study,
        source: str,
        toml: str = "",
        driver_class: type[Driver] | None = None,
        engine: Engine = execute,
        first: str = "configure",
        settings: Settings | None = None,
        file: SettingsFile | None = None,
    ):
        """`file` keeps what is set here. Raises BadInput for keys in the settings that cannot be."""
        self.DEFAULT_MODE = first  # read once, below: Textual would make and draw an empty screen first
        super().__init__(driver_class=driver_class or _driver())
        self._settings, self._file = settings or Settings(), file
        self._keymap = keymap(self._settings.keys, file.path if file else "settings")
        self.animation_level = "none"
        self._shown = Shown()
        self.set_class(bool(self._settings.ascii), "-ascii")
        self.COMMAND_PALETTE_BINDING = self._keymap.get("palette", self.COMMAND_PALETTE_BINDING).partition(",")[0]
        self.lab = Lab(Store(home), study, source, toml, slow=bool(self._settings.ssh))
        self.lab.first = self._settings.hints and file is not None and not self.lab.store.names()
        self.worker = Worker(home, self.engine_ended, engine)
        self.last_words = ""
        self._leaving = self._setting_out = False
        for mode in SCREENS:
            self.add_mode(mode, partial(self._made, mode))
        for name, colours in OWN.items():
            self.register_theme(Theme(name=name, **colours))
        self.ansi_theme_dark, self.ansi_theme_light = _terminal_theme(ON_DARK), _terminal_theme(ON_LIGHT)
        self._few_colours = self.no_color or self.console.color_system in (None, "standard")
        self.theme = self._fitting(self._settings.theme)
        for name in self.available_themes.keys() - set(THEMES):
            self.unregister_theme(name)
        if self.no_color:
            # The filter for terminals without colour is chosen above, before the theme is.
            self._filters = [NoColor() if isinstance(item, Monochrome) else item for item in self._filters]

    def on_load(self) -> None:
        # The first screen is made before Textual styles the App, whose colour of text it has.
        self.stylesheet.set_variables(self.get_css_variables())
        self.stylesheet.apply(self)

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())
        self.call_after_refresh(self._load_rest)

    @work
    async def _load_rest(self) -> None:
        """Load what the other screens need, once the first one is seen."""
        await asyncio.to_thread(load_all)
        if not gc.isenabled():
            gc.freeze()
            gc.enable()

    def _made(self, mode: str) -> LabScreen:
        """The screen of a mode. It is styled by the rules of now: Textual would read them all anew for it, twice."""
        screen: LabScreen = resolve_name(SCREENS[mode])(self.lab)
        screen._css_update_count = self._css_update_count
        return screen

    def refresh_css(self, animate: bool = True) -> None:
        """Style all that is seen anew, if anything is."""
        if self.screen_stack:
            super().refresh_css(animate)

    def delay_update(self, delay: float = 0.05) -> None:
        """Draw nothing until the screen that takes the place of another knows of it: Textual waits for `delay`."""

        def end() -> None:
            self._end_batch()
            self.screen.refresh()

        self._begin_batch()
        self.call_later(lambda: self.screen.call_later(end) or end())

    def _fitting(self, theme: str) -> str:
        """The theme, or in a terminal of sixteen colours the one that has no more."""
        if not self._few_colours or theme in SIXTEEN:
            return theme
        return "ansi-dark" if self.available_themes[theme].dark else "ansi-light"

    def _keep_theme(self, theme: Theme) -> None:
        """A theme that was chosen is there the next time."""
        self._keep("theme", theme.name)

    def on_hide_hint(self, message: HideHint) -> None:
        """Never tell again what to do first."""
        self._keep("hints", False)

    @work
    async def _keep(self, name: str, value: object) -> None:
        """Put a setting into the file."""
        if self._file is not None:
            try:
                await asyncio.to_thread(self._file.put, name, value)
            except BadInput as error:
                self._complain(str(error))

    def on_unmount(self) -> None:
        if self.lab.follower is not None:
            self.lab.follower.close()

    def engine_ended(self, ended: Ended) -> None:
        """Called in the worker's thread: tell the loop."""
        self.post_message(WorkerEnded(ended))

    def action_mode(self, mode: str) -> None:
        """Go to a mode; a dialog that is open keeps its place. Where no run is shown yet, the newest is."""
        if len(self.screen_stack) == 1:
            if self.lab.follower is None and mode not in ("configure", "runs"):
                self._follow_newest()
            self.switch_mode(mode)

    def _follow_newest(self) -> None:
        for run in self.lab.store.newest():
            with contextlib.suppress(BadInput):
                self.lab.follow(run)
                return

    def action_help(self) -> None:
        """Show the keys."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(MODES.get(self.current_mode, "this window"), self.screen))

    async def action_quit(self) -> None:
        """Leave, but ask while a run is at work; asked again while it stops, leave at once."""
        if not self.worker.active or isinstance(self.screen, LeavingDialog):
            self.exit()
        elif self.lab.stopping:
            self._leave()
        elif not isinstance(self.screen, QuitDialog):
            self.push_screen(QuitDialog(self.worker.run or ""), self._quit_answered)

    def _quit_answered(self, answer: str | None) -> None:
        if answer not in ("detach", "stop"):
            return
        if not self.worker.active:
            self.exit()
            return
        self._end_here(self.worker.hand_over if answer == "detach" else self.worker.stop)
        self._leave()

    def _leave(self) -> None:
        """Leave once the worker has ended its work."""
        self._leaving = True
        self.push_screen(LeavingDialog())

    def action_suspend(self) -> None:
        """Halt this process and return to the shell; but not a run that is at work in it."""
        if self.worker.active:
            words = f"{self.worker.run} is at work here and would stand still: "
            self._complain(words + keyed(self, "{detach} detaches it first"))
        elif self._driver is None or not self._driver.can_suspend:
            self._complain("this terminal has no shell to go back to")
        else:
            self.action_suspend_process()

    def action_detach(self) -> None:
        """Hand the run at work to a process without this terminal."""
        self._end_here(self.worker.hand_over)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a run at work here can go on elsewhere."""
        if action == "detach":
            return self.worker.active and not self.lab.stopping
        return super().check_action(action, parameters)

    def _end_here(self, ask: Callable[[], None]) -> None:
        try:
            ask()
        except BadInput as error:
            self._complain(str(error))
            return
        self.lab.stopping = True
        self.refresh_bindings()

    def on_start_study(self, message: StartStudy) -> None:
        """Make a run and set the worker on it."""
        self._set_out(partial(self._create, message.study))

    def on_take_up_run(self, message: TakeUpRun) -> None:
        """Set the worker on a run that did not come to its end."""
        self._set_out(lambda: message.run)

    def _create(self, study: Study) -> str:
        from engine.experiment import check_room  # with NumPy, here in a thread

        check_room(study, self.lab.store)
        with self.lab.store.create(study) as folder:
            return folder.id

    @work
    async def _set_out(self, run_of: Callable[[], str]) -> None:
        """Set the worker on the run that `run_of` gives, in a thread, once nothing else is at work here."""
        if self._setting_out:
            return
        self._setting_out = True
        try:
            if self.worker.active:
                words = f"{self.worker.run} is at work; one at a time here: wait, stop it, or "
                raise BadInput(words + keyed(self, "{detach} to detach it"))
            run = await asyncio.to_thread(run_of)
            self.worker.start(run)
        except BadInput as error:
            self._complain(str(error))
            return
        finally:
            self._setting_out = False
        self.lab.active, self.lab.stopping, self.lab.first = run, False, False
        self._open(run)
        self.refresh_bindings()

    def on_edit_study(self, message: EditStudy) -> None:
        """Put a study into the form."""
        self.lab.study, self.lab.source, self.lab.toml = message.study, message.source, ""
        self.switch_mode("configure")
        if isinstance(self.screen, LabScreen):
            self.call_later(self.screen.reopen)

    def on_open_run(self, message: OpenRun) -> None:
        """Show a run."""
        self._open(message.run)

    def _open(self, run: str) -> None:
        try:
            self.lab.follow(run)
        except BadInput as error:
            self._complain(str(error))
            return
        self.switch_mode("live")

    def on_pause_run(self, message: PauseRun) -> None:
        """Pause the run that is shown."""
        self._ask(self._followed, Request.PAUSE)

    def on_resume_run(self, message: ResumeRun) -> None:
        """Let the run that is shown go on."""
        self._ask(self._followed, Request.RESUME)

    def on_stop_run(self, message: StopRun) -> None:
        """Stop the run that is shown."""
        if self._followed == self.lab.active:
            self._end_here(self.worker.stop)
        else:
            self._ask(self._followed, Request.STOP)

    @property
    def _followed(self) -> str | None:
        return self.lab.follower.run if self.lab.follower else None

    def _ask(self, run: str | None, request: Request) -> None:
        if run is None:
            return
        try:
            with self.lab.store.open(run) as folder:
                folder.request(request)
        except BadInput as error:
            self._complain(str(error))

    def on_worker_ended(self, message: WorkerEnded) -> None:
        """The work on a run is over here: say how."""
        ended = message.ended
        self.lab.active, self.lab.stopping = None, False
        self.refresh_bindings()
        if self._leaving:
            self.last_words = ended.words
            self.exit()
        elif ended.message or ended.status == "failed":
            self._complain(ended.words)
        elif ended.status == "stopped":
            words = keyed(self, "; {live.take-up} in Live ({mode.live}) goes on where it was")
            self.notify(f"{plain(ended.run)} is stopped{words}", severity="warning", timeout=10, markup=False)
        else:
            self.notify(plain(ended.words), timeout=10, markup=False)

    def _complain(self, words: str) -> None:
        self.notify(plain(words), severity="error", timeout=15, markup=False)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if isinstance(renderable, (LayoutUpdate, ChopsUpdate)):
            renderable = Frugal(renderable, self._shown)
        super()._display(screen, renderable)

    def action_redraw(self) -> None:
        """Send the whole screen anew."""
        self._shown.forget()
        self.screen.refresh(layout=True)

    def on_resize(self) -> None:
        self._shown.forget()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line passes on its way to the terminal."""
        filters = super().get_line_filters()
        return [*filters, DARKER] if self.theme == "ansi-light" else filters

    def get_key_display(self, binding: Binding) -> str:
        """The key as people read it; by its name where there is no sign for it in ASCII."""
        shown = super().get_key_display(binding)
        return shown if shown.isascii() or binding.key_display or not self._settings.ascii else binding.key

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action that has a key here, and the themes."""
        return actions(self, screen)


def _terminal_theme(colours: tuple[tuple[str, ...], ...]) -> TerminalTheme:
    (back, ink), normal, bright = ([parse_rgb_hex(colour[1:]) for colour in part] for part in colours)
    return TerminalTheme(back, ink, normal, bright)


def _driver() -> type[Driver] | None:
    if os.name != "posix":
        return None
    from lth_tui.driver import TolerantDriver

    return TolerantDriver
