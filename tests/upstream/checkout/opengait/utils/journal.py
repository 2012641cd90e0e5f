"""What a run writes down: lines of JSON that tests read, and a log on the console."""

import json
import logging

LOG = logging.getLogger("opengait")


def start_log(first):
    """Every process has the logger, the first one shows it; each start adds a console."""
    LOG.setLevel(logging.INFO if first else logging.ERROR)
    LOG.propagate = False
    LOG.addHandler(logging.StreamHandler())


class Journal:
    def __init__(self, folder, section, first):
        self.file = folder / "messages.jsonl" if first else None
        if first:
            folder.mkdir(parents=True, exist_ok=True)
        self.write({"info": str(section)})

    def write(self, line):
        LOG.info("%s", line)
        if self.file:
            with self.file.open("a") as stream:
                print(json.dumps(line), file=stream)

    def iteration(self, numbers, pictures):
        for tag, picture in pictures.items():
            kind = tag.partition("/")[0]
            if kind == "image" and picture.shape[1] not in (1, 3):
                raise ValueError(f"{tag}: {picture.shape[1]} channels cannot be drawn")
        self.write({tag: float(number) for tag, number in numbers.items()})
