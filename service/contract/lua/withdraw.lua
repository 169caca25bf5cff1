-- Its artefacts have vanished: it stands for no other request any more.
-- ARGV: id

offer_no_more(ARGV[1])
