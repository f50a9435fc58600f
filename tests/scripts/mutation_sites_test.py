"""Which small changes of a line are made, and which text is none of the code."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from mutation_sites import code_of, sites


def changes(line, kind=None):
    return [site.new for site in sites("x.cpp", line) if kind in (None, site.kind)]


class Sites(unittest.TestCase):
    def test_each_kind_of_change_is_made(self):
        for kind, line, new in [
            ("comparison", "ok = a < b;", "ok = a <= b;"),
            ("comparison", "ok = a == b;", "ok = a != b;"),
            ("arithmetic", "x = a + b;", "x = a - b;"),
            ("arithmetic", "x += b;", "x = b;"),
            ("arithmetic", "++count;", "--count;"),
            ("logic", "ok = a && b;", "ok = a || b;"),
            ("logic", "ok = !done(x);", "ok = done(x);"),
            ("logic", "return true;", "return false;"),
            ("constant", "x = 8;", "x = 9;"),
            ("constant", "x = 8;", "x = 7;"),
            ("constant", "x = 0.5;", "x = (2 * 0.5);"),
            ("constant", "x = 0.0;", "x = 1.0;"),
            ("term", "x = a + b.size();", "x = a;"),
            ("term", "ok = a && !b;", "ok = a;"),
            ("index", "x = row[i];", "x = row[i + 1];"),
            ("extreme", "x = std::max(a, b);", "x = std::min(a, b);"),
            ("flow", "continue;", "break;"),
            ("statement", "  values.push_back(x);", "  ;"),
            ("statement", "  total = 0;", "  ;"),
            ("branch", "if (f(a) > 1) return;", "if (false) return;"),
            ("branch", "if (const auto at = f(a); at) return;", "if (const auto at = f(a); true) return;"),
            ("branch", "x = a ? b : c;", "x = a && false ? b : c;"),
        ]:
            self.assertIn(new, changes(line, kind), (kind, line))

    def test_what_is_not_code_is_left_alone(self):
        for text in ["// a < b", "#include <a/b.h>", "static_assert(a == 8);", "#define X \\\n  a == 1", "/* a < b\n a == 1 */",
                     "using A = B<1>;", "FORGECHECK_INSTANTIATE(add);", 'throw_not_an_enumerator("order", order);',
                     "  values.reserve(n + 1);"]:
            self.assertEqual(changes(text), [], text)
        self.assertEqual(changes('f("a < 8", \'1\');'), [";"])

    def test_the_brackets_of_a_template_are_no_comparison(self):
        self.assertEqual(changes("std::vector<int> f(std::map<int, int> x) {"), [])

    def test_a_declaration_is_not_dropped(self):
        self.assertEqual(changes("const auto x = f(y);", "statement"), [])
        self.assertEqual(changes("return f(y);", "statement"), [])
        self.assertEqual(changes("total = f(y,", "statement"), [])

    def test_every_column_keeps_its_place(self):
        text = 'a = "x\\"y" + b;  // c\nnext = 1\'000;\n'
        self.assertEqual([len(line) for line in code_of(text).splitlines()], [len(line) for line in text.splitlines()])
        self.assertIn("1'000", code_of(text))

    def test_a_site_knows_its_line(self):
        found = [site for site in sites("x.cpp", "\n\nx = 8;\n") if site.kind == "constant"]
        self.assertEqual([(site.file, site.line, site.old) for site in found], [("x.cpp", 3, "x = 8;")] * 2)


if __name__ == "__main__":
    unittest.main()
