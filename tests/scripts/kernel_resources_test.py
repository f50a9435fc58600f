"""scripts/kernel_resources.py: what it reads of ptxas, and what it refuses."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/kernel_resources.py"
KERNEL = "_ZN10forgecheck3gpu40_GLOBAL__N__ad279322_8_spill_cu_11e442774copyI13__nv_bfloat16EEvPT_PKS4_l"
FINE = "_ZN10forgecheck3gpu40_GLOBAL__N__ad279322_8_spill_cu_11e442774fineEPKhm"


def account(kernel, architecture, registers, frame, shared=""):
    stack, stores, loads = frame
    return f"""ptxas info    : Compiling entry function '{kernel}' for '{architecture}'
ptxas info    : Function properties for {kernel}
    {stack} bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads
ptxas info    : Used {registers} registers, used 1 barriers,{shared} 400 bytes cmem[0]
"""


class KernelResources(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.table = Path(folder.name) / "kernels.md"
        self.objects = Path(folder.name) / "gpu/CMakeFiles/forgecheck_gpu.dir/ops"
        self.objects.mkdir(parents=True)
        self.write((16, 8, 4))

    def write(self, frame):
        (self.objects / "spill.cu.o").touch()
        (self.objects / "spill.cu.o.resources").write_text(
            account(KERNEL, "sm_80", 30, (0, 0, 0)) + account(KERNEL, "sm_90", 32, frame, " 48 bytes smem,")
            + account(FINE, "sm_80", 12, (0, 0, 0)) + account(FINE, "sm_90", 12, (0, 0, 0)))

    def run_script(self, *arguments):
        done = subprocess.run(
            [sys.executable, SCRIPT, "--build", self.table.parent, "--table", self.table, "--compiler", "nvcc 1",
             *arguments], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    def give_reason(self):
        self.run_script()
        self.table.write_text(self.table.read_text().replace("0, 8 + 4 |  |", "0, 8 + 4 | a good one |"))

    def test_the_table_has_plain_names_and_the_numbers_of_every_architecture(self):
        self.run_script()
        self.assertIn("| gpu/ops/spill.cu | `copy<bf16>` | 30, 32 | 0, 48 | 0, 16 | 0, 8 + 4 |  |\n"
                      "| gpu/ops/spill.cu | `fine` | 12 | 0 | 0 | 0 |  |\n", self.table.read_text())

    def test_a_spill_without_a_reason_is_refused(self):
        status, said = self.run_script()
        self.assertEqual(status, 1)
        self.assertIn("gpu/ops/spill.cu: copy<bf16> uses local memory and has no reason", said)
        self.assertEqual(self.run_script("--check")[0], 1)

    def test_a_stack_without_spills_needs_a_reason_too(self):
        self.write((16, 0, 0))
        self.assertIn("copy<bf16> uses local memory", self.run_script()[1])

    def test_a_reason_is_accepted_and_kept(self):
        self.give_reason()
        self.assertEqual(self.run_script("--check")[0], 0)
        self.assertEqual(self.run_script()[0], 0)
        self.assertIn("a good one", self.table.read_text())

    def test_another_number_is_out_of_date(self):
        self.give_reason()
        self.write((16, 8, 8))
        status, said = self.run_script("--check")
        self.assertEqual(status, 1)
        self.assertIn("not in the table: | gpu/ops/spill.cu | `copy<bf16>` | 30, 32 | 0, 48 | 0, 16 | 0, 8 + 8 |", said)
        self.assertIn("no longer so:", said)

    def test_a_kernel_that_is_gone_is_out_of_date(self):
        self.give_reason()
        self.table.write_text(self.table.read_text() + "| gpu/ops/old.cu | `gone` | 1 | 0 | 0 | 0 |  |\n")
        self.assertIn("no longer so:     | gpu/ops/old.cu", self.run_script("--check")[1])

    def test_a_build_without_kernels_is_refused(self):
        (self.objects / "spill.cu.o").unlink()
        self.assertNotEqual(self.run_script("--check")[0], 0)


if __name__ == "__main__":
    unittest.main()
