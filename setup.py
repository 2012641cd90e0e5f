"""Copy the configs and the demo's weights into the package when it is built; see setup.cfg."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

COPIES = {
    "opengait_ext/configs": ("configs", "*.yaml"),
    "opengait_ext/demo_weights": ("datasets/prep/weights", "*.pt"),
}


class BuildWithCopies(build_py):
    """Build the package; an editable one reads the files where they are."""

    def run(self) -> None:
        """Copy the files after the modules."""
        super().run()
        if self.editable_mode:
            return
        for target, source in self._copies():
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return all files that the build writes."""
        copies = [] if self.editable_mode else [str(target) for target, _ in self._copies()]
        return [*super().get_outputs(include_bytecode), *copies]

    def _copies(self) -> list[tuple[Path, Path]]:
        return [
            (Path(self.build_lib, folder, source.name), source)
            for folder, (origin, pattern) in COPIES.items()
            for source in sorted(Path(origin).glob(pattern))
        ]


setup(cmdclass={"build_py": BuildWithCopies})
