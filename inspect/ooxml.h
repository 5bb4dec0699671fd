/* ooxml: what the members of a zip archive say about the document that it is (ISO/IEC 29500, ISO/IEC 26300). */
#ifndef MAILREEVE_INSPECT_OOXML_H
#define MAILREEVE_INSPECT_OOXML_H

#include "inspect/file_scan.h"

/* Zero at the start. */
struct ooxml {
	const char *type; /* of the document; NULL: a plain archive so far */
	const char *kind; /* of a package that is no document: "a Java program" */
	enum file_class class;
	bool starts; /* a defined name or a listener that would start macros */
};

/* One member: adds macro, macro_auto and office_active to the verdict of the document. */
void ooxml_member(struct ooxml *document, struct file_scan *scan, const char *name, struct slice content);

/* All members were there: sets the document's media type; a document is no archive. */
void ooxml_finish(const struct ooxml *document, struct file_verdict *verdict);

#endif
