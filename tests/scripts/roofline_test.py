"""scripts/roofline.py: its sizes are those of the model, its kernels are ours, its tables those of docs/gpu.md."""
import importlib.util
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/roofline.py"
specification = importlib.util.spec_from_file_location("roofline", SCRIPT)
roofline = importlib.util.module_from_spec(specification)
sys.modules["roofline"] = roofline
specification.loader.exec_module(roofline)


def only(step, rows):
    (kernel,) = [kernel for kernel in roofline.forward(rows) if kernel.step == step]
    return kernel


class Roofline(unittest.TestCase):
    def test_the_products_are_those_of_the_models_parameters(self):
        # 8 030 261 248 parameters, less the embedding, which is looked up, and the norms.
        matrices = 8_030_261_248 - roofline.VOCAB * roofline.DIM - 65 * roofline.DIM
        for rows in (1, 512):
            products = [kernel for kernel in roofline.forward(rows) if kernel.name == "cuBLAS"]
            self.assertEqual(sum(kernel.launches * kernel.operations for kernel in products), 2 * rows * matrices)
        weights = sum(kernel.launches * kernel.bytes for kernel in roofline.forward(1) if kernel.name == "cuBLAS")
        self.assertAlmostEqual(weights / (2 * matrices), 1, delta=1e-3)

    def test_attention_counts_each_pair_of_a_query_and_a_key_that_it_sees(self):
        pairs = sum(query + 1 for query in range(7))
        (kernel,) = roofline.attention(7)
        self.assertEqual(kernel.operations, roofline.HEADS * pairs * (4 * roofline.HEAD_DIM + 5))

    def test_a_step_is_bound_by_what_takes_longest(self):
        self.assertEqual(only("down_proj", 8192).bound(), "tensor cores")
        self.assertEqual(only("down_proj", 1).bound(), "memory")
        norm = only("norms", 8192)
        self.assertAlmostEqual(norm.seconds(), 65 * norm.bytes / 3.35e12)

    def test_every_kernel_is_one_of_ours(self):
        ours = set(re.findall(r"^\| gpu/ops/\w+\.cu \| `([^`]+)`", (ROOT / "docs/kernels.md").read_text(), re.M))
        for rows in (1, 8192):
            for kernel in roofline.forward(rows):
                self.assertIn(kernel.name, ours | {"cuBLAS"})

    def test_the_manual_has_the_tables_of_the_script(self):
        done = subprocess.run([sys.executable, SCRIPT, "--check", ROOT / "docs/gpu.md"], capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_another_number_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "gpu.md"
            copy.write_text((ROOT / "docs/gpu.md").read_text().replace("| 547 |", "| 548 |"))
            self.assertEqual(subprocess.run([sys.executable, SCRIPT, "--check", copy], capture_output=True,
                                            check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
