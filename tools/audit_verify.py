#!/usr/bin/env python3
"""Verifies audit logs of Postern. Python 3, standard library only; written from docs/reference/audit-format.md alone.

usage: audit_verify.py [--key KEY] [--against FILE]... FOLDER...
       audit_verify.py [--key KEY] --proof FILE...

Prints one JSON object for each folder or proof. KEY is the text of a public key (NAME+ID+BASE64) or a file that holds
one; without it the folder's own key.pub is believed. Exit status: 0 all good, 1 something is not, 2 wrong usage.
"""

import base64
import binascii
import hashlib
import json
import os
import re
import sys
import unicodedata
from array import array

LINE_BYTES_MAX = 32 * 1024
NOTE_MAX = 64 * 1024
SIGNATURES_MAX = 64
READ_BYTES = 256 * 1024

# --- Ed25519, RFC 8032 sections 5.1.1 to 5.1.7: verification only.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def point_add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    e = (y1 - x1) * (y2 - x2) % P
    f = (y1 + x1) * (y2 + x2) % P
    g = 2 * t1 * t2 * D % P
    h = 2 * z1 * z2 % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar > 0:
        if scalar & 1:
            result = point_add(result, point)
        point = point_add(point, point)
        scalar >>= 1
    return result


def point_equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point_decompress(data):
    y = int.from_bytes(data, "little")
    sign = y >> 255
    y &= (1 << 255) - 1
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P != 0:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P != 0 or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = point_decompress(bytes([0x58]) + bytes([0x66]) * 31)


def ed25519_verify(public_key, message, signature):
    if len(public_key) != 32 or len(signature) != 64:
        return False
    a = point_decompress(public_key)
    r = point_decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % L
    return point_equal(point_multiply(s, BASE), point_add(r, point_multiply(h, a)))


# --- The tree, RFC 9162 section 2.1.


def sha256(data):
    return hashlib.sha256(data).digest()


def node(left, right):
    return sha256(b"\x01" + left + right)


class Tree:
    """The roots of the whole subtrees at the right edge, the largest first."""

    def __init__(self):
        self.size = 0
        self.edge = []

    def append(self, leaf):
        rest = self.size
        while rest & 1:
            leaf = node(self.edge.pop(), leaf)
            rest >>= 1
        self.edge.append(leaf)
        self.size += 1

    def root(self):
        if not self.edge:
            return sha256(b"")
        root = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            root = node(left, root)
        return root


def included(leaf, index, size, proof):
    """The root that a proof of inclusion leads to, section 2.1.3.2; None where it is none."""
    if not 0 <= index < size:
        return None
    fn, sn, root = index, size - 1, leaf
    for step in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            root = node(step, root)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node(root, step)
        fn, sn = fn >> 1, sn >> 1
    return root if sn == 0 else None


def consistent(older_size, older_root, size, root, proof):
    """Section 2.1.4.2."""
    if not 0 < older_size <= size:
        return False
    if older_size == size:
        return not proof and older_root == root
    if older_size & (older_size - 1) == 0:
        proof = [older_root] + proof
    if not proof:
        return False
    fn, sn = older_size - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for step in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(step, fr), node(step, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == older_root and sr == root


# --- Notes and checkpoints.


def unbase64(text):
    """The bytes of a text, which has one spelling; None where it is none."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


COUNT = "(?:0|[1-9][0-9]{0,15})"
INTEGER_MAX = 2**53 - 1
SIGNED = "\u2014 ".encode()


class Key:
    def __init__(self, text):
        match = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", text.strip())
        data = unbase64(match.group(3)) if match else None
        if data is None or len(data) != 33:
            raise ValueError("this is no public key: " + text.strip()[:80])
        self.name = match.group(1)
        self.algorithm = data[0]
        self.public = data[1:]
        self.id = sha256(self.name.encode() + b"\n" + data)[:4]
        if self.id.hex() != match.group(2):
            raise ValueError("the id of this public key is not that of its bytes: " + text.strip()[:80])


class Checkpoint:
    def __init__(self, origin, size, root):
        self.origin, self.size, self.root = origin, size, root


SIGNATURE = re.compile("\u2014 ([^\\s+\ufeff]{1,255}) ([A-Za-z0-9+/=]{1,512})")


def open_note(note, key):
    """The checkpoint of a note that the log's key signed; None for any other."""
    if len(note) > NOTE_MAX or not note.endswith("\n") or key.algorithm != 1:
        return None
    if any(unicodedata.category(each) == "Cc" for each in set(note) - {"\n"}):
        return None
    text, gap, signatures = note.rpartition("\n\n")
    text += "\n"
    matches = [SIGNATURE.fullmatch(line) for line in signatures[:-1].split("\n")]
    if not gap or None in matches or len(matches) > SIGNATURES_MAX:
        return None
    found = [(match.group(1), unbase64(match.group(2))) for match in matches]
    if any(data is None or len(data) <= 4 for _, data in found):
        return None
    for name, data in found:
        if name == key.name and data[:4] == key.id and ed25519_verify(key.public, text.encode(), data[4:]):
            return read_checkpoint(text, key)
    return None


def read_checkpoint(text, key):
    lines = text.split("\n")
    if len(lines) < 4 or lines[0] != key.name or not re.fullmatch(COUNT, lines[1]):
        return None
    root = unbase64(lines[2])
    at = first_of(lines[3:], r"at (\S+)")
    chain = first_of(lines[3:], r"chain ([0-9a-f]{64})")
    if root is None or len(root) != 32 or at is None or not re.fullmatch(COUNT, at) or chain is None:
        return None
    if max(int(lines[1]), int(at)) > INTEGER_MAX:
        return None
    return Checkpoint(lines[0], int(lines[1]), root)


def first_of(lines, form):
    matches = [match for match in (re.fullmatch(form, line) for line in lines) if match]
    return matches[0].group(1) if matches else None


def note_places(path):
    """Yields where in a file a note begins, where it ends and how its text begins. A text, an empty line and its signatures
    are a note; so is a text alone, which an append left that was cut short."""
    waiting, part, at = None, b"", 0
    with open(path, "rb") as file:
        while True:
            piece = file.read(READ_BYTES)
            parts = (part + piece).split(b"\n\n")
            part = parts.pop() if piece else None
            for each in parts:
                if waiting and each.startswith(SIGNED):
                    yield waiting[0], at + len(each) + 1, waiting[2]
                    waiting = None
                else:
                    if waiting and waiting[2].strip():
                        yield waiting
                    waiting = (at, at + len(each), each)
                at += len(each) + 2
            if part is None:
                break
            if len(part) > NOTE_MAX:
                # No note is that long, and what does not end must not fill the memory.
                part, at = b"\x00" + part[-1:], at + len(part) - 2
    if waiting and waiting[2].strip():
        yield waiting


class Claims:
    """The notes of some files that say that they are checkpoints of a log. Most agree with the records, and a signature takes
    some milliseconds here: it is checked where one disagrees, and of the newest that agrees."""

    def __init__(self, key):
        self.key, self.paths, self.others, self.unsigned = key, [], 0, set()
        self.sizes, self.begins, self.ends, self.files = array("Q"), array("Q"), array("Q"), array("L")
        self.roots, self.order = bytearray(), []
        self.form = re.compile(rb"\n*" + re.escape(key.name.encode()) + rb"\n(" + COUNT.encode() + rb")\n([A-Za-z0-9+/]{43}=)\n")

    def read(self, path):
        """Takes up a file; whether the key signed any note of it."""
        begin = len(self.sizes)
        self.paths.append(path)
        try:
            for at, end, text in note_places(path):
                match = self.form.match(text)
                if match is None or int(match.group(1)) > INTEGER_MAX:
                    self.others += 1
                    continue
                self.sizes.append(int(match.group(1)))
                self.roots += base64.b64decode(match.group(2))
                self.begins.append(at)
                self.ends.append(end)
                self.files.append(len(self.paths) - 1)
        except FileNotFoundError:
            pass
        return any(self.open(number) for number in range(len(self.sizes) - 1, begin - 1, -1))

    def sort(self):
        self.order = sorted(range(len(self.sizes)), key=self.sizes.__getitem__)

    def size_at(self, at):
        return self.sizes[self.order[at]] if at < len(self.order) else None

    def has_root(self, at, root):
        begin = 32 * self.order[at]
        return self.roots[begin : begin + 32] == root

    def open_at(self, at):
        return self.open(self.order[at])

    def newest_before(self, end):
        """Of the newest before a place that the key signed, the size; 0 where there is none."""
        return next((self.size_at(at) for at in range(end - 1, -1, -1) if self.open_at(at)), 0)

    def open(self, number):
        if number in self.unsigned:
            return None
        with open(self.paths[self.files[number]], "rb") as file:
            file.seek(self.begins[number])
            note = file.read(self.ends[number] - self.begins[number]).decode("utf-8", errors="replace").lstrip("\n")
        checkpoint = open_note(note if note.endswith("\n") else note + "\n", self.key)
        if checkpoint is None:
            self.unsigned.add(number)
        return checkpoint


# --- The log.


class Flaw(Exception):
    def __init__(self, index, what):
        super().__init__(what)
        self.index = index


def read_segments(folder, key):
    """Yields the hash of each record and its index; raises Flaw at the first bad one."""
    names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"[0-9]{20}\.log", name))
    before, index = bytes(32), 0
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            due = index + 1
            line = file.readline(LINE_BYTES_MAX)
            if line[-1:] != b"\n":
                if name == names[-1] and int(name[:20]) == due and len(line) < LINE_BYTES_MAX:
                    return
                raise Flaw(due, "%s has no whole first line" % name)
            match = re.fullmatch(rb"postern-audit/1 (\S+) ([1-9][0-9]*) ([0-9a-f]{64})\n", line)
            if match is None:
                raise Flaw(due, "the first line of %s is broken" % name)
            if int(match.group(2)) != due or int(name[:20]) != due:
                raise Flaw(due, "missing: %s does not begin with it" % name)
            if match.group(3).decode() != before.hex():
                raise Flaw(due, "%s does not continue the file before it" % name)
            if match.group(1) != key.name.encode():
                raise Flaw(due, "%s belongs to another log" % name)
            while True:
                line = file.readline(LINE_BYTES_MAX)
                if not line:
                    break
                if line[-1:] != b"\n":
                    if name == names[-1] and len(line) < LINE_BYTES_MAX:
                        return
                    raise Flaw(index + 1, "incomplete")
                before = check_record(line, before, index + 1)
                index += 1
                yield before


HASH = re.compile(rb"[0-9a-f]{64} ")
ENVELOPE = re.compile(
    r'\{"at":(0|-?[1-9][0-9]{0,15}),"data":\{.*\},"i":([1-9][0-9]{0,15}),'
    r'"kind":"[a-z][a-z0-9_.-]{0,63}","v":(0|-?[1-9][0-9]{0,15})\}',
    re.DOTALL,
)
MEMBERS = {"at", "data", "i", "kind", "v"}
DEPTH_MAX = 64


class Integer(str):
    """The digits of a number: one of any length is JSON, and few are looked at."""


def no_number(word):
    raise ValueError(word + " is no number of JSON")


def is_integer(value, digits):
    """Whether a member that may stand twice has the value that the envelope begins or ends with."""
    if type(value) is Integer:
        value = int(value) if len(value) <= 17 else None
    elif type(value) is not float:
        return False
    return value == int(digits) and abs(int(digits)) <= INTEGER_MAX


def is_within(value, levels):
    if not isinstance(value, (dict, list)):
        return True
    if levels == 0:
        return False
    return all(is_within(each, levels - 1) for each in (value.values() if type(value) is dict else value))


def is_record(body, index):
    try:
        text = body.decode("utf-8")
        match = ENVELOPE.fullmatch(text)
        record = json.loads(text, parse_constant=no_number, parse_int=Integer) if match else None
    except (ValueError, RecursionError):
        return False
    if type(record) is not dict or record.keys() != MEMBERS or type(record["data"]) is not dict:
        return False
    if not all(is_integer(record[name], match.group(at)) for at, name in enumerate(("at", "i", "v"), 1)):
        return False
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and not is_within(record, DEPTH_MAX):
        return False
    return match.group(2) == str(index)


def check_record(line, before, index):
    body = line[65:-1]
    digest = sha256(b"\x00" + before + body)
    if HASH.match(line) is None or line[:64] != digest.hex().encode():
        raise Flaw(index, "changed, missing or moved")
    if not is_record(body, index):
        raise Flaw(index, "not the record of this place")
    return digest


def verify_folder(folder, key, against):
    claims, unwitnessing = Claims(key), []
    for path in [os.path.join(folder, "checkpoint"), os.path.join(folder, "checkpoints")] + against:
        if not claims.read(path) and path in against and path not in unwitnessing:
            unwitnessing.append(path)
    claims.sort()
    tree, place = Tree(), 0
    answer = {"folder": folder, "origin": key.name}

    def compare():
        """Holds the tree against every checkpoint of its size."""
        nonlocal place
        first, root = place, tree.root()
        while claims.size_at(place) == tree.size:
            if claims.has_root(place, root) or claims.open_at(place) is None:
                place += 1
                continue
            # One of the same size that agrees says as little as this one: the change is after those before both.
            place = first
            what = "changed and the chain computed anew, somewhere up to record %d" % tree.size
            raise Flaw(claims.newest_before(first) + 1, what)

    try:
        due = claims.size_at(place)
        if due == 0:
            compare()
            due = claims.size_at(place)
        for leaf in read_segments(folder, key):
            tree.append(leaf)
            if tree.size == due:
                compare()
                due = claims.size_at(place)
        for at in range(place, len(claims.order)):
            if claims.open_at(at):
                what = "missing: a checkpoint over %d records was signed" % claims.size_at(at)
                raise Flaw(tree.size + 1, what)
        answer["ok"] = True
    except Flaw as flaw:
        answer.update({"ok": False, "first_bad": flaw.index, "what": str(flaw)})
    if unwitnessing:
        # They were asked for as witnesses and prove nothing.
        answer.update({"ok": False, "unwitnessing": unwitnessing})
    answer.update({"records": tree.size, "covered": claims.newest_before(place)})
    answer["strange_notes"] = claims.others + len(claims.unsigned)
    answer["root"] = tree.root().hex()
    return answer


def verify_proof(path, key):
    with open(path, encoding="utf-8") as file:
        claim = json.load(file)
    proof = [bytes.fromhex(step) for step in claim["proof"]]
    newer = open_note(claim["checkpoint"], key)
    answer = {"proof": path, "kind": claim["kind"], "ok": False}
    if newer is None or any(len(step) != 32 for step in proof):
        return answer
    if claim["kind"] == "inclusion":
        body = claim["body"].encode()
        leaf = sha256(b"\x00" + bytes.fromhex(claim["before"]) + body)
        root = included(leaf, claim["index"] - 1, newer.size, proof)
        answer["ok"] = root == newer.root and json.loads(body)["i"] == claim["index"]
    elif claim["kind"] == "consistency":
        older = open_note(claim["older"], key)
        answer["ok"] = older is not None and consistent(
            older.size, older.root, newer.size, newer.root, proof
        )
    return answer


def read_key(text):
    if os.path.exists(text):
        with open(text, encoding="utf-8") as file:
            text = file.read()
    return Key(text)


def main(words):
    key, against, targets, proofs = None, [], [], False
    words = list(words)
    try:
        while words:
            word = words.pop(0)
            if word == "--key":
                key = read_key(words.pop(0))
            elif word == "--against":
                against.append(words.pop(0))
            elif word == "--proof":
                proofs = True
            elif word.startswith("-"):
                raise ValueError("there is no option " + word)
            else:
                targets.append(word)
        if not targets or (proofs and key is None):
            raise ValueError(__doc__)
    except (ValueError, IndexError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    good = True
    for target in targets:
        try:
            if proofs:
                answer = verify_proof(target, key)
            else:
                own = key or read_key(os.path.join(target, "key.pub"))
                answer = verify_folder(target, own, against)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as problem:
            answer = {"target": target, "ok": False, "what": str(problem)}
        print(json.dumps(answer, sort_keys=True))
        good = good and answer["ok"]
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
