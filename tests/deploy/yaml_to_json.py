"""The documents of a YAML stream on standard input as one JSON list. Knows nothing of what is in them."""

import json
import sys

import yaml

json.dump([one for one in yaml.safe_load_all(sys.stdin) if one is not None], sys.stdout)
