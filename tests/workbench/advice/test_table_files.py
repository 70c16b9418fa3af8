"""Advice about the files of tables that were made elsewhere."""

import json
import shlex
import subprocess
import sys

import pytest
from following import between, follows

from workbench.laws.not_a_table import unreadable_table

ROWS = ["size,seed,loss", *[f"{n},0,{1 / n}" for n in (1, 2, 4, 8)]]


@follows("Write a field for every column", "Close the quotes")
def test_fields_and_quotes(write, refused, fits):
    head, *rows = ROWS
    message = refused("fit", write(f"name,{head}", *[f"one, two,{row}" for row in rows]))
    assert "put quotes around a text that has ',' in it" in message
    fits(write(f"name,{head}", *[f'"one, two",{row}' for row in rows]))
    refused("fit", write(head, *rows, "16,0"))
    fits(write(head, *rows, "16,0,"))
    long = "x" * 200_000
    refused("fit", write(f"{head},text", *[f"{row},{long}" for row in rows]))
    fits(write(head, *rows))
    refused("fit", write(f"{head},text", *[f'{row},"abc' for row in rows[:-1]], f"{rows[-1]},{long}"))
    fits(write(f"{head},text", *[f'{row},"abc"' for row in rows]))


@follows("Rename one of them")
def test_two_columns_of_a_name(write, refused, fits):
    refused("fit", write("size,loss,loss", *[(n, 1 / n, 2 / n) for n in (1, 2, 4, 8)]))
    fits(write("size,loss,loss2", *[(n, 1 / n, 2 / n) for n in (1, 2, 4, 8)]))


@follows("Write decimal points, or thousands without a separator")
def test_a_comma_that_may_mean_two_things(write, refused, fits):
    message = refused("fit", write("size;loss", *[f"{n};{n},250" for n in (1, 2, 4, 8)]))
    meant = between(message, "may mean ", ",").split(" or ")
    for one in meant:
        fits(write("size;loss", *[f"{n};{one.replace('1', str(n), 1)}" for n in (1, 2, 4, 8)]))


@follows("Write one object per line", "Write one object ")
@pytest.mark.parametrize("text", ['{"size": 1', '{"size": 1}\n[1]', '[{"size": 1}]', '[\n {"size": 1}\n]'])
def test_json(write, refused, fits, text):
    example = json.loads(between(refused("fit", write(text)), "such as ", r"\.$"))
    fits(write(*[json.dumps(example | {"size": n, "loss": 1 / n}) for n in (1, 2, 4, 8)]))


@follows(
    "Make UTF-8 of it with",
    "{program}. Unpack it with",
    "a zip archive. Unpack it with",
    "Parquet. Where pandas and pyarrow are installed",
)
@pytest.mark.parametrize(
    "kind", ["latin-1", "utf-16", "utf-16-le", "utf-16-be", "gzip", "bzip2", "xz", "zstd", "zip", "parquet"]
)
def test_another_kind_of_file(write, tmp_path, refused, fits, kind):
    path = tmp_path / "größe of runs.csv"
    write(*ROWS[:1], *[f"{row},é" for row in ROWS[1:]], name=path.name)
    path.write_text(path.read_text(encoding="utf-8").replace("loss", "loss,text"), encoding="utf-8")
    if kind == "zip":
        make = [sys.executable, "-m", "zipfile", "-c", "packed", path.name]
        subprocess.run(make, cwd=tmp_path, check=True)
        path = (tmp_path / "packed").rename(tmp_path / "runs.zip")
    elif kind == "parquet":
        pandas = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        pandas.read_csv(path).to_parquet(tmp_path / "runs.parquet")
        path = tmp_path / "runs.parquet"
    elif kind in ("gzip", "bzip2", "xz", "zstd"):
        packed = subprocess.run([kind, "-c", path], capture_output=True, check=True).stdout
        path = tmp_path / f"runs.csv.{ {'gzip': 'gz', 'bzip2': 'bz2'}.get(kind, kind) }"
        path.write_bytes(packed)
    else:
        path.write_bytes(path.read_text(encoding="utf-8").encode(kind))
    message = refused("fit", path)
    command = between(message, "`", "`").replace("python -", f"{shlex.quote(sys.executable)} -", 1)
    subprocess.run(command, shell=True, check=True)
    (new,) = (between(message, "give (?:a table of )?").removesuffix("."),)
    if kind == "zip":
        message = refused("fit", new)
        new = between(message, "folder: ", r"\.$")
    fits(new)


@follows("a spreadsheet's own file. Save its sheet", "Save the table as CSV in UTF-8")
@pytest.mark.parametrize("data", [b"PK\x03\x04..xl/workbook.xml", b"\xd0\xcf\x11\xe0", b"size\x81,loss\n"])
def test_what_a_program_has_to_save_again(write, tmp_path, refused, fits, data):
    (tmp_path / "runs.xlsx").write_bytes(data)
    assert "as CSV in UTF-8" in refused("fit", tmp_path / "runs.xlsx")
    fits(write(*ROWS))


@follows("Give a table of this folder", "Give a table in CSV; there is none in")
@pytest.mark.parametrize("wrong", ["", "run.csv", "nowhere/runs.csv", "runs.csv/x"])
def test_a_path_that_is_no_file(write, tmp_path, refused, fits, wrong):
    (tmp_path / "tables").mkdir()
    if "/x" not in wrong:
        assert "there is none in" in refused("fit", tmp_path / "tables" / wrong)
    path = write(*ROWS, name="tables/runs.csv")
    message = refused("fit", tmp_path / "tables" / wrong)
    assert between(message, "folder: ", r"\.$") == path
    fits(path)


@follows("It is a study: `workbench report")
def test_a_study_is_given_as_a_table(study, refused, fits, followed):
    message = refused("fit", study.rename(study.parent / "my study"))
    followed(*shlex.split(between(message, "`workbench ", "`")))
    fits(between(message, "give ", r"\.$"))


def test_what_helps_where_a_table_may_not_be_read(tmp_path):
    said = str(unreadable_table(tmp_path / "my runs.csv", PermissionError(13, "Permission denied")))
    (tmp_path / "my runs.csv").touch(mode=0)
    subprocess.run(shlex.split(between(said, "`", "`")), check=True)
    assert (tmp_path / "my runs.csv").stat().st_mode & 0o444 == 0o444
