"""Reads a JSON list of PromQL expressions and prints, for each, what it selects: name and label names.

An expression that cannot be parsed ends it. Knows nothing of which metrics there are.
"""

import json
import sys

import promql_parser

PARTS = ("expr", "lhs", "rhs", "vector_selector", "param")


def selectors(expression):
    if isinstance(expression, promql_parser.VectorSelector):
        labels = [matcher.name for matcher in expression.matchers.matchers]
        yield {"name": expression.name, "labels": labels}
    parts = [getattr(expression, part, None) for part in PARTS]
    for part in parts + list(getattr(expression, "args", None) or []):
        if part is not None:
            yield from selectors(part)


def parsed(text):
    try:
        return promql_parser.parse(text)
    except Exception as error:
        sys.exit(f"not PromQL: {text}: {error}")


json.dump([list(selectors(parsed(text))) for text in json.load(sys.stdin)], sys.stdout)
