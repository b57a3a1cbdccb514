"""What nothing should fall over: a thousand values that are tried in each field and parameter, as JSON over the wire.

A value is its JSON text in bytes: much of what is hostile is what `json.dumps` would never write.
"""

import json
from collections.abc import Iterable
from itertools import chain
from typing import Any

EDGES = (7, 8, 15, 16, 31, 32, 53, 63, 64, 128, 1024)  # bits at which some integer ends

NUMBERS: list[str] = [
    *(str(sign * (2**bits + step)) for bits in EDGES for sign in (1, -1) for step in (-1, 0, 1)),
    *(sign + digits for sign in ("", "-") for digits in ("1" + "0" * 18, "9" * 19, "9" * 400, "1" * 4300, "1" * 5000)),
    "0", "-0", "1", "-1", "0.0", "-0.0", "0.5", "1.0", "-1.5", "0.1", "1e0", "1E5", "1e+5", "1e-5", "5e-324",
    "2e-324", "1e-400", "1e308", "1.7976931348623157e308", "1.7976931348623159e308", "1e309", "1e400", "-1e400",
    "1e999999999", "9007199254740993.0", "1.0000000000000001", "123456789012345678901234567890.5", "0." + "3" * 5000,
    "1e-999999999", "2147483647.5", "1e18", "1e19", "3.0e0", "4294967296.0",
]  # fmt: skip

TOKENS: list[str] = [
    "NaN", "Infinity", "-Infinity", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x1F", "0b1", "0o7", "1_000",
    "1,000", "1n", "--1", "- 1", "True", "False", "None", "nil", "undefined", "NULL", "nul", "truefalse", "tru",
    "'x'", "`x`", '"', '"x', "x", "{", "[", "}", "]", "[1,]", "[,1]", "[1 2]", "[1", '{"a"}', '{"a":}', '{"a":1,}',
    "{a:1}", "{1:2}", '{"a" 1}', '{"a":1 "b":2}', '{"a":1,"a":2}', '{"a":{"b":1,"b":2}}', '[{"a":1,"a":1}]',
    '{"":1,"":2}', "", " ", ",", ":", "//x", "/*x*/1", "1//x", "#x", '"a\tb"', '"a\nb"', '"a\rb"', '"\\x"', '"\\u"',
    '"\\u12"', '"\\u12G4"', '"\\"', '"\\U0001F40E"', '"\\0"', '"\\\'"', '"\\a"', "1 1", "{}{}", "[][]", "null null",
    "\ufeff1", "\u00a01", "\u20281", "\u2003", "\x0c1", "[" * 980 + "]" * 980, '{"a":' * 980 + "1" + "}" * 980,
    "[" * 50_000, '{"a":' * 50_000, "[" * 1100 + "1" + "]" * 1100, '[{"a":' * 300 + "1" + "}]" * 300, '"\\u0000"',
    '"a\\u0000b"', '["\\u0000"]', '{"\\u0000":1}', '"\\u0000\\u0000"', '"x\\u0000"',
]  # fmt: skip

SURROGATES: list[str] = [  # alone, first, last, in between, the wrong way round, in a key, and a pair that is right
    '"\\ud800"', '"\\udfff"', '"\\ud800x"', '"x\\ud800"', '"x\\udc00y"', '"\\udc00\\ud800"',
    '"\\ud800\\ud800\\udc00"', '"\\ud83d\\u0041"', '"\\uD800\\u0000"', '["\\udbff"]', '{"\\udc00":1}',
    '{"a":["\\udfff"]}', '"\\ud83d\\udc0e"', '"\\udbff\\udfff"', '"\\ud83d\\udc0e\\ud83d"', '"\\\\ud800"',
    '"\\uDFFF\\uD800"',
]  # fmt: skip

NO_UTF8: list[bytes] = [  # overlong, truncated, surrogates, beyond U+10FFFF, stray bytes, other encodings
    b"\xff", b"\xfe", b"\x80", b"\xbf", b"\xc0", b"\xc0\x80", b"\xc1\xbf", b"\xc0\xaf", b"\xe0\x80\x80",
    b"\xe0\x80\xaf", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb0\x8e", b"\xf4\x90\x80\x80",
    b"\xf7\xbf\xbf\xbf", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x90", b"a\xc3", b"\xc3(", b"\xe2(\xa1", b"\xf0(\x8c\xbc",
    b"x\xffy", b"\xa0\xa1", b"\xe9t\xe9", b"\xff\xfea\x00", b"\xfe\xff\x00a", b"\x00", b"a\x00b", b"\x1b[31m",
    b"\x7f", b"\x01\x02\x03", b"\x85", b"\xc2",
]  # fmt: skip

UNICODE: list[str] = [
    *(chr(plane * 0x10000 + 0x41) for plane in (1, 2, 3, 14, 15, 16)),
    *(chr(plane * 0x10000 + 0xFFFF) for plane in (0, 1, 2, 15, 16)),
    *(chr(plane * 0x10000 + 0xFFFE) for plane in (0, 1, 2, 15, 16)), "\ufdd0", "\ufdef", "\ufeff", "x\ufeffy", "\ufffd",
    "\ufffc", "\u00e9", "e\u0301", "\u212b", "\u00c5", "A\u030a", "\u1e9b\u0323", "\ufb01", "\u2126", "\u0344",
    "\ufdfa", "\u0958", "\u1100\u1161\u11a8", "\uac01", "\u0130", "\u0131", "i\u0307", "\u00df", "\u1e9e", "\u017f",
    "\u03c2\u03c3\u03a3", "\u202e", "\u202d\u202c", "\u2066x\u2069", "\u200e\u200f", "\u061c", "abc\u202efed",
    "\u200b", "a\u200bb", "\u200c", "\u200d", "\u2060", "\u180e", "\u00ad", "\u034f", "\u115f", "\u3164", "\u2800",
    "\u00a0", "\u2007", "\u3000", "\u1680", "\u2028", "\u2029", "\u0085", "a\u2028b", "\u0430dmin", "\u0391dmin",
    "\uff41dmin", "p\u0430ypal", "\u217cogin", "\U0001d41admin", "\u24d0dmin", "\u0660\u0661\u0662", "\u096c",
    "\uff11\uff12", "\u00b2", "\u00bd", "\u2167", "\u4e09", "\U0001f40e",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\u270a\U0001f3ff", "\u2764\ufe0f",
    "\U000e0041", "\U000e0001", "\ue000", "\U0010ffff", "Z" + "\u0327\u0301" * 200, "\u0e49" * 300, "\u0bf5",
    "\u1f1f", "\u0627\u0644\u0639", "\u05e9\u05dc", "\u0939\u093f", "\u65e5\u672c", "\U0001f40e" * 300,
    "\u00e9" * 250, "\U00020000", "\uff0e\uff0e\uff0f", "\u2215\u2044", "\uff1cscript\uff1e", "\u02bc OR 1=1",
    "\uff07", "\u2019",
]  # fmt: skip

CONTROL: list[str] = [chr(code) for code in (*range(1, 0x20), 0x7F, 0x80, 0x85, 0x9F)] + [
    "\r\n",
    "\n\r",
    "a\x00b",
    "\x00",
    "\b\b",
]

INJECTIONS: list[str] = [
    "'", "''", '"', "`", "\\", "\\'", ";", "--", "/*", "*/", "#", "%", "_", "%%", "' OR '1'='1", "' OR 1=1 --",
    "1 OR 1=1", "'; DROP TABLE users; --", "1; SELECT pg_sleep(5)", "' UNION SELECT NULL,NULL --", "') OR ('a'='a",
    "1' AND SLEEP(5)#", "admin'--", "' || (SELECT 1) || '", "1/0", "x' AND 1=CAST((SELECT version()) AS int)--",
    "\\x27", "%27", "%2527", "$$x$$", "E'\\x00'", "0x31303235", ":x", "%(x)s", "%s", "?", "$1", "@@version",
    "RANDOMBLOB(1000000000)", "\x1a", "\\%", '{"$gt": ""}', '{"$where": "sleep(1)"}', "'; return true; var x='",
    "[$ne]=1", "$where", "*", "*)(uid=*))(|(uid=*", "|", "*)(&", "\\2a", "admin)(&)", "' or '1'='1' or ''='",
    "//user[name()='a']", "count(/child::node())", "<!ENTITY x 'y'>",
    "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>", "<![CDATA[x]]>", "<?xml version='1.0'?>", "{{7*7}}",
    "${7*7}", "#{7*7}", "<%= 7*7 %>", "{% for x in ().__class__.__mro__ %}",
    "{{''.__class__.__mro__[1].__subclasses__()}}", "@(7*7)", "{{config}}", "*{7*7}", "[[7*7]]", "{7*7}",
    "{0.__class__.__init__.__globals__}", "{}", "{0}", "{x!r:>{y}}", "%n%n%n%n", "%x%x%x", "%1000000000d", "%99999s",
    "%p", "%c", "%", "%d", "%(", "{", "}", "{{", "{!r}", "{:>1000000000}", "$HOME", "; ls", "| id", "& id", "&& id",
    "`id`", "$(id)", "\n id", ">/tmp/x", "-rf", "--help", "-", "~root", "!!", "$IFS", "%PATH%", "(){ :;}; echo x",
    "${jndi:ldap://x}", "${jndi:dns://x}", "${${lower:j}ndi:ldap://x}", "${env:SECRET_KEY}", "a\r\nb: c",
    "x\r\nSet-Cookie: a=b", "x\r\n\r\n<html>", "%0d%0aX: y", "x\nINFO fake log line", "x\x1b[2J", "\x1b]0;x\x07",
    "\u560a\u560d", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)",
    "data:text/html,x", "<svg/onload=x>", "'\"><x>", "</title>", "&lt;", "&#x3c;", "\\u003cscript\\u003e", "=1+1",
    "=cmd|' /C calc'!A0", "@SUM(1)", "+1-1", "\t=1", "../../etc/passwd", "..\\..\\windows\\win.ini", "%2e%2e%2f",
    "..%2f", "%252e%252e%252f", "....//", "..;/", "/etc/passwd", "C:\\", "\\\\host\\share", "file:///etc/passwd", ".",
    "..", "/", "//", "~", "CON", "NUL", "a/b", "a%2fb", "a%00b", ".git/config", "/dev/zero", "x" * 255, "x" * 256,
    "x" * 4097, "x" * 70_000, "x" * 100_000, " ", "  ", "", "\t", "a " * 500, " x ", "rO0ABXNyAA==",
    "gASVCgAAAAAAAACMBXBvc2l4", "!!python/object/apply:os.system ['id']", 'O:8:"stdClass":0:{}', "(lp0\n.",
    "__proto__", "constructor", "__class__", "toString", "hasOwnProperty", "self", "None", "null", "undefined", "NaN",
    "Infinity", "true", "false", "True", "FALSE", "yes", "no", "on", "off", "0", "1", "-1", "1.0", "1e400", "0x10",
    "1_000", "+1", "01", "t", "y", "T", "\u0031", " 1", "1 ", "1\n", "nil", "\\N", "(null)", "[object Object]",
    "None\x00", "1" * 5000, "-" + "9" * 30, "(a+)+$", "a" * 30 + "!", "^(([a-z])+.)+[A-Z]([a-z])+$", "\\", "[", "(",
    "*", "(?R)", "[[:alpha:]]",
]  # fmt: skip

TIMES: list[str] = [
    "2026-01-02T03:04:05Z", "2026-01-02T03:04:05", "2026-01-02", "03:04:05", "2026-13-45", "0000-00-00", "2026-02-29",
    "2024-02-29", "1900-02-29", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
    "-0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-14:00",
    "10000-01-01T00:00:00Z", "+10000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z",
    "1752-09-10T00:00:00Z", "0999-01-01T00:00:00Z", "2038-01-19T03:14:07Z", "2038-01-19T03:14:08Z",
    "2262-04-12T00:00:00Z", "4713-01-01T00:00:00Z", "294277-01-01T00:00:00Z", "2016-12-31T23:59:60Z",
    "2026-01-01T23:59:61Z", "2026-01-01T24:00:00Z", "2026-01-01T24:00:01Z", "2026-01-01T25:00:00Z",
    "2026-01-01T00:60:00Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00-24:00", "2026-01-01T00:00:00+23:59",
    "2026-01-01T00:00:00-23:59", "2026-01-01T00:00:00+00:60", "2026-01-01T00:00:00+99:99",
    "2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00.1234567Z", "2026-01-01T00:00:00.123456789123Z",
    "2026-01-01T00:00:00,5Z", "2026-W01-1", "2026-001", "20260101T000000Z", "2026-1-1", "01/02/2026",
    "Thu, 01 Jan 1970 00:00:00 GMT", "now", "today", "infinity", "-infinity", "epoch", "P1D", "PT1S", "P-1Y",
    "253402300800", "-62135596801", "1e15", "2026-01-01T00:00:00 Europe/Berlin", "2026-01-01 00:00:00",
    "2026-01-01t00:00:00z", "2026-01-01T00:00:00\u2212" + "01:00", "\u0662\u0660\u0662\u0666-01-01",
]  # fmt: skip

IDENTIFIERS: list[str] = [
    "not-a-uuid", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "0" * 32, "g" * 32,
    "0" * 31, "{123e4567-e89b-12d3-a456-426614174000}", "urn:uuid:123e4567-e89b-12d3-a456-426614174000",
    "123E4567E89B12D3A456426614174000", "123e4567-e89b-12d3-a456-42661417400",
    "123e4567-e89b-12d3-a456-4266141740000", "123e4567\u2010e89b-12d3-a456-426614174000", "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJIUzI1NiJ9.e30.x", "eyJhbGciOiJIUzI1NiJ9..", "..", "...", "a.b.c", "e30.e30.e30", "e30", "e30=", "W10",
    "bnVsbA", "Wzld", "====", "=", "A", "AA", "AAA", "A===", "-_-_", "+/+/", "/w==", "_w", "gICA", "A A",
    "WyJpZCIsMV0", "WyJpZCIsbnVsbF0", "WyJpZCIsTmFOXQ", "WyJpZCIsMWU0MDBd", "WyJpZCIsW11d",
    "WyJpZCIsOTk5OTk5OTk5OTk5OTk5OTk5OTld", "WyJpZCIsIlx1MDAwMCJd", "WyJpZCIsIlx1ZDgwMCJd", "WyJpZCIsdHJ1ZV0",
    "WyJpZCIsLTFd", "id", "-id", "id,id", "--id", "-", ",", "id,", "user_id", "password", "id asc", "id;", "id--",
    "ID", "deadbeef", "0" * 64, "$2b$12$" + "." * 53, "$bcrypt-sha256$v=2,t=2b,r=31$",
]  # fmt: skip

ADDRESSES: list[str] = [
    "a@b", "a@", "@b.c", "@", "a@b@c.d", "a b@example.com", "a@example", "a@example.", "a@.example.com",
    "a@-example.com", "a@example..com", ".a@example.com", "a.@example.com", "a..b@example.com", '"a b"@example.com',
    '"a@b"@example.com', '"\\"@example.com', "a@[127.0.0.1]", "a@[IPv6:::1]", "a@127.0.0.1", "a@localhost",
    "a(comment)@example.com", "<a@example.com>", "A <a@example.com>", "a@example.com,b@example.com",
    "a@example.com;b@example.com", "a@example.com\r\nBcc: b@example.com", "a@example.com\n", "a\n@example.com",
    "a@exam\nple.com", "a@example.com\0", "a%b@example.com", "a!b@example.com", "a+b@example.com",
    "!#$%&'*+-/=?^_`{|}~@example.com", "x" * 64 + "@example.com", "x" * 65 + "@example.com", "a@" + "x" * 63 + ".com",
    "a@" + "x" * 64 + ".com", "a@" + "x." * 126 + "com", "a@" + "x." * 120 + "com",
    "x" * 64 + "@" + "y" * 63 + "." + "z" * 63 + ".com", "x" * 250 + "@b.com", "a@b\u00fccher.example",
    "a@xn--bcher-kva.example", "a@xn--.example", "a@xn--\u00fc.example", "a@xn--a", "\u00fc@example.com",
    "\u00df@example.com", "\ufb01@example.com", "a\u200b@example.com", "a@exa\u00admple.com", "a@ex\u0430mple.com",
    "a\u202e@example.com", "\u212a@example.com", "a@example\u3002com", "a@\uff45xample.com", "a\uff20example.com",
    "a@\U0001f40e.example", "\U0001f40e@example.com", "a@example.c", "a@example.123", "a@example.com.",
    "mailto:a@example.com", "a@example.com?x", "a@ex_ample.com", "a@xn--80ak6aa92e.com",
    "\u0915\u094d\u0937@example.com", "a@*.com", "\u0130@example.com", "e\u0301@example.com", "\u00b5@example.com",
    "http://", "http://x", "https://example.com", "HTTP://EXAMPLE.COM", "http://example.com:99999",
    "http://example.com:-1", "http://[::1", "http://[::1]", "http://[fe80::1%25eth0]", "http://user:pass@example.com",
    "http://example.com#@evil.com", "http://169.254.169.254/", "http://0x7f.1", "http://2130706433", "http://127.1",
    "http://\u24d4xample.com", "//example.com", "http:/example.com", "http:example.com", "ftp://example.com",
    "file:///x", "javascript://x", "gopher://x", "http://example.com/%", "http://example.com/%zz", "http://a b",
    "http://example.com/\x00", "http://example.com\\@evil.com", "http://" + "x" * 64 + ".com",
    "http://x.com/" + "y" * 2000, "http://%00", "http://xn--", "http://\u00ad.com", "http://example.com\t",
    "http://..", "http://-", "https://example.com:0", "http://?", "http://#",
]  # fmt: skip

SHAPES: list[Any] = [
    None, True, False, [], {}, [[]], [{}], {"a": []}, {"a": {"a": []}}, [None], [True], [0], ["x"], [""], {"": ""},
    {"a": None}, {"0": 0}, ["x"] * 1000, [[["x"]]], list(range(2000)), {str(n): n for n in range(1000)},
    {"x" * 10_000: 1}, [None] * 100, {"a": 1, "b": [1, {}]}, {"__proto__": {"is_superuser": True}},
    {"constructor": {"prototype": {"x": 1}}}, {"__class__": "x"}, {"$ref": "#"}, {"$gt": ""}, {"is_superuser": True},
    {"id": 1}, {"email": "a@example.com"}, [["a", 1], ["b", 2]], {"length": 1}, {"toString": 1}, {"then": 1},
    {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}, [[[[[[[[1]]]]]]]], {"type": "Buffer", "data": [1]},
    {"root": {"a": "x" * 1000}}, {"$date": 1}, {"$oid": "0" * 24}, {"py/object": "os.system"},
    {"@type": "java.lang.Class"}, {"value": "x"}, {"\ue000": 1}, {"a.b": 1},
]  # fmt: skip


def _texts() -> Iterable[bytes]:
    for text in chain(NUMBERS, TOKENS, SURROGATES):
        yield text.encode()
    for raw in NO_UTF8:
        yield b'"' + raw + b'"'
    for text in chain(UNICODE, CONTROL, INJECTIONS, TIMES, IDENTIFIERS, ADDRESSES):
        yield json.dumps(text, ensure_ascii=len(text) > 3).encode()  # the short ones as they are, in UTF-8
    for value in SHAPES:
        yield json.dumps(value).encode()


VALUES: list[bytes] = list(dict.fromkeys(_texts()))

# Names of fields that no schema has; what comes of them must not depend on how they are written.
NAMES: list[str] = [
    "\ud800",
    "\0",
    "",
    " ",
    "x" * 10_000,
    "__proto__",
    "__class__",
    "constructor",
    "model_fields_set",
    "\u202e",
    "a.b",
    "$ref",
]


def bare(value: bytes) -> bytes:
    """The value as a URL or a header has it: a string without its quotes and escapes."""
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        return value.strip(b'"')
    return decoded.encode("utf-8", "surrogatepass") if isinstance(decoded, str) else value
