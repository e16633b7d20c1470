# Reads what gcpml wrote with Python's own readers, and pyarrow for Parquet, and
# prints every value as Python sees it: {format: [[[type, text], …], …]}.
import base64, csv, datetime, decimal, json, math, os, sys

import pyarrow.parquet

folder = sys.argv[1]


def native(value):
    if value is None:
        return ["null", ""]
    if isinstance(value, bool):
        return ["bool", "true" if value else "false"]
    if isinstance(value, int):
        return ["int", str(value)]
    if isinstance(value, float):
        return ["float", float.hex(value) if math.isfinite(value) else str(value)]
    if isinstance(value, decimal.Decimal):
        text = format(value, "f")
        return ["decimal", text.rstrip("0").rstrip(".") if "." in text else text]
    if isinstance(value, bytes):
        return ["bytes", base64.b64encode(value).decode()]
    if isinstance(value, datetime.datetime):
        return ["datetime", value.strftime("%Y").zfill(4) + value.isoformat()[4:]]
    if isinstance(value, (datetime.date, datetime.time)):
        return [type(value).__name__, value.isoformat()]
    if isinstance(value, list):
        return ["list", json.dumps([native(v) for v in value])]
    if isinstance(value, dict):
        return ["dict", json.dumps([[k, native(v)] for k, v in value.items()])]
    return ["str", value]


def path(extension):
    return os.path.join(folder, "out." + extension)


def cells(rows):
    return [[native(v) for v in row] for row in rows]


out = {}
table = pyarrow.parquet.read_table(path("parquet"))
out["parquet"] = cells([list(row.values()) for row in table.to_pylist()])
with open(path("csv"), newline="", encoding="utf-8") as f:
    out["csv"] = cells(list(csv.reader(f))[1:])
with open(path("json"), encoding="utf-8") as f:
    out["json"] = cells([list(row.values()) for row in json.load(f)])
with open(path("ndjson"), encoding="utf-8") as f:
    out["ndjson"] = cells([list(json.loads(line).values()) for line in f])
unescape = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


def field(text):
    if text == "\\N":
        return None
    result, rest = "", text
    while "\\" in rest:
        before, _, rest = rest.partition("\\")
        result, rest = result + before + unescape[rest[0]], rest[1:]
    return result + rest


with open(path("tsv"), newline="", encoding="utf-8") as f:
    lines = f.read().split("\n")
    assert lines[-1] == "", "no line feed at the end"
    out["tsv"] = cells([[field(t) for t in line.split("\t")] for line in lines[1:-1]])
json.dump(out, sys.stdout)
