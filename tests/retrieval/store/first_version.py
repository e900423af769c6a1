"""A store as the first version of the schema had it, in SQL."""

FIRST = """
INSERT INTO stores VALUES (1, 'vs_1', 'shop', 'user:anna', 100);
INSERT INTO documents VALUES (4, 'file-4', 1, 'a.txt', 5, 'digest4', 101, 'completed', NULL, 'A', 'äpple', 'x');
INSERT INTO documents VALUES (6, 'file-6', 1, 'b.pdf', 9, 'digest6', 102, 'failed', 'it is empty', '', '', '');
INSERT INTO sources VALUES (1, '/a.txt', 4);
INSERT INTO chunks VALUES (8, 4, 1, 0, 5, 'A', 'äpple');
INSERT INTO vectors VALUES (8, x'00010203');
INSERT INTO jobs VALUES (1, 6, '/b.pdf', 'failed', 1, 'it is empty', 1, 1, 1);
"""
