"""``python -m mammosynth``: the command line, beside a checkout that is not installed."""

from mammosynth.commands import main

main()
