"""Forms of files that are neither JSON nor Parquet: each in one small module that turns a file into units.

* `separated.py`: CSV and TSV with a column of JSON. `copy_text.py`: the text form of Postgres's COPY.
* `sqlite.py`: a table of an SQLite file, such as the log of the `llm` command.
* `inspect_eval.py`: the zip archives that Inspect writes. `cassette.py`: VCR cassettes in YAML.
* `prefixed.py`: JSON behind what a logger puts at the beginning of each line. `chunks.py`: a stream's chunks, one each.

A row of a table is a unit, as a JSON object of its columns: a cell that holds JSON is a string in it. So a table is
read as JSON lines are, by the same presets and pointers.
"""
