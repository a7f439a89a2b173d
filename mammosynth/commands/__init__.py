"""The command line ``mammosynth``: a file a subcommand.

What takes long to import is imported inside the commands, so that ``--help`` and the shell's completion are quick.
"""

import logging
from typing import Any

import click

from mammosynth import __version__
from mammosynth.commands.assess import assess
from mammosynth.commands.check import check
from mammosynth.commands.export import export
from mammosynth.commands.init import init
from mammosynth.commands.predict import predict
from mammosynth.commands.synthesise import synthesise
from mammosynth.errors import InputError


class Commands(click.Group):
    """Subcommands whose InputErrors are a line each and exit status 1, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise click.ClickException(str(error)) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # as a newcomer meets them


@click.group(
    cls=Commands,
    commands=[assess, export, synthesise, predict, init, check],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
def main() -> None:
    """Synthetic breast-mass images: made, judged and used, with and without a study.

    \b
    Judge a folder of synthetic images against real ones, without any set-up:
      mammosynth assess real/ synthetic/
    Begin a study of your own:
      mammosynth init my_study/
      mammosynth check my_study/study.yaml

    Each command says more:  mammosynth assess --help
    """
    logging.basicConfig(level="WARNING", format="%(message)s")
    logging.getLogger("mammosynth").setLevel("INFO")
