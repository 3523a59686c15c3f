// Package bundle opens what a user hands over as inputs for package analyze:
// archives (tar, zip, also compressed and nested), directories, single files and
// streams.
//
// Hostile archives are ordinary input. The content decides what a file is. Names
// of entries are labels and never become paths: small entries stay in memory,
// large ones go into one temporary file that has no name while it is in use, and
// plain files, entries of plain archives and stored entries are read where they
// are. What is not read (a link, a device, an encrypted entry, what lies beyond a
// limit) becomes an input with a reason, so that the report lists it.
//
// Names: an entry keeps its path in the archive. A file inside an archive inside
// an archive is "inner.zip!path". A compressed file keeps its name and is read
// decompressed. With several arguments, each one's entries stand below its name.
package bundle
