from synthograph.cli.main import run

run()
