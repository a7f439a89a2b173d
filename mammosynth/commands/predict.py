import click
@click.command()
def predict() -> None:
    """."""
