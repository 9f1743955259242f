"""Finished runs, one a line of a file, so that an evaluation of hours that was stopped goes on where it was. A run is known by all that decides
it: its job, and the settings but for where files lie. Programs are not looked into: after a build, begin another file."""
import dataclasses
import json
import os


def name_of(job, settings):
    decides = dataclasses.asdict(settings)
    del decides["out"], decides["binaries"]
    return json.dumps([dataclasses.asdict(job), decides], sort_keys=True)


class Runs:
    """Without a path: for this process only."""

    def __init__(self, path=None):
        self.path, self.results = path, {}
        if path and os.path.exists(path):
            with open(path) as file:
                for line in file:
                    if line.endswith("\n"):  # the last one may have been cut off
                        name, result = json.loads(line)
                        self.results[name] = result

    def get(self, job, settings):
        return self.results.get(name_of(job, settings))

    def add(self, job, settings, result):
        name = name_of(job, settings)
        self.results[name] = result
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps([name, result], separators=(",", ":")) + "\n")
