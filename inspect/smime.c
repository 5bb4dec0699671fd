#include "inspect/smime.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <stdlib.h>

enum { SIZE_MAX_CMS = 1 << 30 };

static enum smime_kind signed_content(CMS_ContentInfo *cms, struct slice *content_r)
{
	ASN1_OCTET_STRING **inner = CMS_get0_content(cms);
	if (inner == NULL || *inner == NULL) {
		return SMIME_OTHER; /* detached, or certificates only */
	}
	int length = ASN1_STRING_length(*inner);
	char *copy = malloc(length > 0 ? (size_t)length : 1);
	if (copy == NULL) {
		abort();
	}
	memcpy(copy, ASN1_STRING_get0_data(*inner), length > 0 ? (size_t)length : 0);
	*content_r = (struct slice){copy, length > 0 ? (size_t)length : 0};
	return SMIME_SIGNED;
}

static enum smime_kind kind_of(CMS_ContentInfo *cms, struct slice *content_r)
{
	switch (OBJ_obj2nid(CMS_get0_type(cms))) {
	case NID_pkcs7_signed:
		return signed_content(cms, content_r);
	case NID_pkcs7_enveloped:
	case NID_id_smime_ct_authEnvelopedData:
	case NID_pkcs7_encrypted:
		return SMIME_ENCRYPTED;
	case NID_id_smime_ct_compressedData:
		return SMIME_COMPRESSED;
	default: /* any of some thousand */
		return SMIME_OTHER;
	}
}

enum smime_kind smime_open(struct slice content, struct slice *content_r)
{
	const unsigned char *at = (const unsigned char *)content.data;
	*content_r = (struct slice){NULL, 0};
	if (content.len < 8 || content.len > SIZE_MAX_CMS || content.data[0] != 0x30) {
		return SMIME_NONE;
	}
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &at, (long)content.len);
	enum smime_kind kind = cms == NULL ? SMIME_NONE : kind_of(cms, content_r);
	CMS_ContentInfo_free(cms);
	ERR_clear_error();
	return kind;
}
