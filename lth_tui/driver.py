"""A driver that lives through bytes that are not UTF-8, and tells when the terminal has gone."""

import os
import selectors
import signal
from codecs import getincrementaldecoder

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver


class TolerantDriver(LinuxDriver):
    """Decodes the keyboard with replacement characters.

    After a reattach tmux can send mouse positions in the old encoding, whose bytes are no UTF-8; the driver
    above would end the whole interface for one of them. A terminal that has gone is told by SIGHUP, also to a process
    that the system sends none.
    """

    def run_input_thread(self) -> None:
        """Wait for input and dispatch events."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            try:
                while not self.exit_event.is_set():
                    for _ in selector.select(0.1):
                        data = self._read()
                        if not data:
                            os.kill(os.getpid(), signal.SIGHUP)
                            return
                        for event in parser.feed(decode(data)):
                            self.process_message(event)
                    for event in parser.tick():
                        self.process_message(event)
            finally:
                try:
                    for _ in parser.feed(""):
                        pass
                except (EOFError, ParseError):
                    pass

    def _read(self) -> bytes:
        """What was typed; nothing once the terminal has gone."""
        try:
            return os.read(self.fileno, 4096)
        except OSError:
            return b""
