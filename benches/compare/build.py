"""Builds what is measured, and what it is measured with, in the project's own target folder."""
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build_scopegate():
    """As it is shipped."""
    return _build("scopegate", "dist", ROOT / "Cargo.toml", target_folder())


def build_rig():
    return _build("rig", "release", ROOT / "benches" / "rig" / "Cargo.toml", target_folder() / "rig")


def _build(program, profile, manifest, target):
    print(f"building {program}", file=sys.stderr, flush=True)
    command = ["cargo", "build", "--locked", "--manifest-path", manifest, "--profile", profile, "--bin", program]
    subprocess.run([str(word) for word in [*command, "--target-dir", target]], check=True, stdout=2)
    return target / profile / program


def target_folder():
    command = ["cargo", "metadata", "--no-deps", "--locked", "--format-version", "1"]
    command += ["--manifest-path", str(ROOT / "Cargo.toml")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Path(json.loads(said)["target_directory"])
