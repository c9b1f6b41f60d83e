#!/usr/bin/env bash
# lm-eval 0.4.13 (lm_eval/tasks/ifeval/instructions.py), three of IFEval's checks on plain answers:
#
# 1. keywords:forbidden_words with a word that ends or begins with a mark ("hello!", "'tis"): the check wants a word's boundary at both ends,
#    and between a mark and a space there is none. The word stands in the answer, and the instruction counts as followed.
# 2. length_constraints:nth_paragraph_first_word: blank paragraphs are left out of the number of paragraphs, and not out of the place. An
#    answer that begins with an empty line has its first paragraph for its second: the right answer fails, and so does "first = 1".
# 3. language:response_language of an answer without letters ("123"): the detector gives up, and the instruction counts as followed in
#    whatever language.
#
# So an accuracy on rows of one's own with such words, or of a model that begins its answers with an empty line, is not what its name says.
# This script fails when any of that changes. It runs none of slhf-lab.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install langdetect==1.0.9 immutabledict==4.2.1 nltk==3.9.2 packaging==25.0
"$folder/venv/bin/pip" -q download --no-deps --dest "$folder" lm-eval==0.4.13
python3 -m zipfile -e "$folder"/lm_eval-0.4.13-*.whl "$folder/unpacked"
cat > "$folder/look.py" <<'PYTHON'
import importlib.util, sys, types
import nltk

# The checks below need no model of NLTK's, which the module would fetch when it is loaded.
nltk.download = lambda *arguments, **options: True
base = sys.argv[1] + "/lm_eval/tasks/ifeval/"
package = "lm_eval.tasks.ifeval"
for name in ("lm_eval", "lm_eval.tasks", package):
    module = types.ModuleType(name)
    module.__path__ = []
    sys.modules[name] = module


def load(name):
    spec = importlib.util.spec_from_file_location(f"{package}.{name}", f"{base}{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"{package}.{name}"] = module
    setattr(sys.modules[package], name, module)
    spec.loader.exec_module(module)
    return module


load("instructions_util")
instructions = load("instructions")


def follows(kind, answer, **arguments):
    instruction = getattr(instructions, kind)("id")
    instruction.build_description(**arguments)
    return instruction.check_following(answer)


def second(answer, word):
    return follows("ParagraphFirstWordCheck", answer, num_paragraphs=2, nth_paragraph=2, first_word=word)


seen = {
    "forbidden 'hello!' in 'Well, hello! World.' counts as followed": follows("ForbiddenWords", "Well, hello! World.", forbidden_words=["hello!"]),
    "forbidden 'hello' there does not": not follows("ForbiddenWords", "Well, hello! World.", forbidden_words=["hello"]),
    "second paragraph 'elm' of 'Oak / Elm' counts as followed": second("Oak is a tree.\n\nElm is, too.", "elm"),
    "behind an empty line it does not": not second("\n\nOak is a tree.\n\nElm is, too.", "elm"),
    "and there the second paragraph begins with 'oak'": second("\n\nOak is a tree.\n\nElm is, too.", "oak"),
    "'123' counts as German": follows("ResponseLanguageChecker", "123", language="de"),
    "and as Hindi": follows("ResponseLanguageChecker", "123", language="hi"),
}
for what, is_so in seen.items():
    print("as seen" if is_so else "CHANGED", "-", what)
sys.exit(not all(seen.values()))
PYTHON
"$folder/venv/bin/python" "$folder/look.py" "$folder/unpacked" 2>/dev/null
