"""What a screen asks of the shell."""

from textual.message import Message

from engine.spec import Study


class StartStudy(Message):
    """Make a new run of the study and begin it."""

    def __init__(self, study: Study):
        super().__init__()
        self.study = study


class EditStudy(Message):
    """Put the study into the form."""

    def __init__(self, study: Study, source: str):
        super().__init__()
        self.study, self.source = study, source


class HideHint(Message):
    """Never tell again what to do first."""


class OpenRun(Message):
    """Show a run of the store."""

    def __init__(self, run: str):
        super().__init__()
        self.run = run


class TakeUpRun(Message):
    """Go on here with a run that did not come to its end."""

    def __init__(self, run: str):
        super().__init__()
        self.run = run


class PauseRun(Message):
    """Pause the run that is shown."""


class ResumeRun(Message):
    """Let the run that is shown go on."""


class StopRun(Message):
    """Stop the run that is shown; what it finished is kept."""
