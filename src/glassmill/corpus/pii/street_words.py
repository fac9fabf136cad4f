"""The words of postal addresses: what streets are called in English and a dozen European languages, units, states,
countries.

Sources: USPS Publication 28 (appendix C1, the common suffixes and their abbreviations); the Universal Postal Union's
country sheets for the European ones.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


UPPER = "".join(character for code in range(0x41, 0x530) if (character := chr(code)).isupper())

# After the name, in English. The second list holds words with many other meanings.
KINDS = (
    "Street|St|Str|Avenue|Ave|Av|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Terrace|Ter|Circle|Cir|Parkway"
    "|Pkwy|Highway|Hwy"
    "|Turnpike|Crescent|Cres|Alley|Mews|Quay|Wharf|Grove|Expressway|Freeway|Causeway"
)
LOOSE_KINDS = (
    "Way|Place|Pl|Square|Sq|Trail|Trl|Row|Close"
    "|Plaza|Loop|Pike|Walk|Path|Hill|Gardens|Gdns|Parade|Heights|Rise|Park|Green|Bend|Cove"
)
DIRECTION = r"(?:[NSEW]|NE|NW|SE|SW|North|South|East|West)\.?"

# Before the name: `rue de la Paix 5`, `Via Roma 131`, `ul. Cicha 86`.
FRENCH_KINDS = "rue|avenue|av|boulevard|bd|allée|allee|chemin|impasse|quai|ruelle"
LOOSE_FRENCH_KINDS = "place|cours|passage|square|sentier"  # only with de, du, ... after it
PREFIX_KINDS = _set(
    "rue avenue av boulevard bd bvd allée allee chemin impasse quai via viale piazza piazzale corso largo"
    " vicolo strada calle c/ cl avenida avda paseo pso plaza pza plza camino carretera ctra ronda travesía"
    " carrer rua praça praca travessa estrada alameda rodovia ul ulica al aleja pl plac os osiedle λεωφόρος"
    " οδός ул улица пр проспект str"
)
LOWER_PREFIX_KINDS = _set("rue avenue boulevard calle avenida paseo carrer rua ul ulica c/ ул улица")
CONNECTORS = _set(
    "de del della delle dei degli di da do dos das du des la le las los les l el e y et i of the van der den"
    " am an auf vom von zu zur"
)

# Ends of one-word names: `Hauptstraße 5`, `Mannerheimintie 12`. Ends that are also ends of common words are left out.
COMPOUND_ENDS = tuple(
    sorted(
        _set(
            "straße strasse str. gasse weg platz allee ufer graben steig chaussee straat laan plein gracht singel"
            " kade gatan gata vägen gränd torget gaten veien vegen vegur braut stræti straeti stræde gade vej"
            " stien vænget allé katu kuja polku ntie kaari"
        )
    )
)
NOT_COMPOUND = _set("brigade renegade christien bastien sebastien sébastien barricade norweg unterweg keineswegs")
# The same as words of their own: `Erzsébet tér 19.`, `Lange Straße 5`, `Rákóczi út 13`.
SUFFIX_KINDS = _set(
    "straße strasse str weg platz gasse allee ufer straat laan weg plein kade terrasse gata gatan vägen vei"
    " vej gade allé utca u. út útja tér tere körút krt rkp köz fasor sétány ulice nám náměstí třída tn tänav"
    " pst mnt puiestee katu kuja cesta trg"
)
# Words that precede numbers and are not streets.
NOT_STREETS = _set(
    "january february march april may june july august september october november december jan feb mar"
    " apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday room"
    " chapter section building gate exit terminal level page stage figure table part volume episode season"
    " version windows highway route interstate apollo world top vol no number act article hall booth"
    " platform pier unit suite the in at on by of and day week step grade phase type model"
)
# Capitalised words that start headings and lists, not the names of streets.
NO_NAMES = (
    "Best|Weeks?|Days?|Miles?|Years?|Months?|Minutes?|Hours?|Rest|Steps?|Easy|Top|Ways?|Tips|Great|Most|Reasons"
    "|Things|Times?|Points?|Square"
)

UNIT_KINDS = (
    r"(?:[Aa]pt|APT|[Aa]partment|[Ss]uite|SUITE|Ste|STE|[Uu]nit|UNIT|Floor|Fl|Room|Rm|Bldg|Building|Flat|Wohnung|Whg"
    r"|piso|appt)"
)
_UNIT_NUMBER = r"(?:[0-9][\w-]{0,5}|[A-Z](?:-?[0-9]{1,4})?)(?!\w)"
UNIT = (
    rf"(?:{UNIT_KINDS}(?:\.\s?|\s|(?=#))\#?\s?{_UNIT_NUMBER}|\#\s?{_UNIT_NUMBER}|[0-9]{{1,2}}(?:st|nd|rd"
    rf"|th)\s[Ff]loor)"
)
# A name with a number is a street's if one of these follows, whatever the name is.
BEFORE_UNIT = rf",?\s{{1,3}}(?:[Aa]pt|APT|[Aa]partment|[Ss]uite|SUITE|Ste|STE)(?:\.\s?|\s)\#?\s?{_UNIT_NUMBER}"
STATE_LETTERS = (
    "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]"
    "|AB|BC|MB|NB|NL|NS|ON|PE|QC|SK|NSW|VIC|QLD|TAS"
)
STATES = (
    f"{STATE_LETTERS}|Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia"
    f"|Hawaii|Idaho|Illinois|Indiana|Iowa"
    "|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska"
    "|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon"
    "|Pennsylvania"
    "|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|(?:West )?Virginia|Washington"
    "|Wisconsin|Wyoming"
)
COUNTRIES = (
    "Australia|Austria|Österreich|Belgium|Belgique|België|Brazil|Brasil|Bulgaria|Canada|Croatia|Cyprus|Czech "
    "Republic|Czechia"
    "|Denmark|Danmark|England|Estonia|Eesti|Finland|Suomi|France|Germany|Deutschland|Great Britain|Greece"
    "|Greenland(?:er)?|Hungary"
    "|Magyarország|Iceland|Ireland|Italy|Italia|Latvia|Liechtenstein|Lithuania|Luxembourg|Malta|Mexico|México"
    "|Monaco|Netherlands"
    "|The Netherlands|Nederland|New Zealand|Northern Ireland|Norway|Norge|Poland|Polska|Portugal|Romania|Russia"
    "|Scotland|Serbia"
    "|Slovakia|Slovenia|South Africa|Spain|España|Sweden|Sverige|Switzerland|Schweiz|Suisse|Tunisia|Turkey"
    "|Ukraine|United Kingdom"
    r"|UK|U\.K\.|United States(?: of America)?|USA|U\.S\.A\.|Uruguay|Wales"
)
POSTCODES = (
    r"(?:[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}"  # SW1A 1AA
    r"|[A-Z][0-9][A-Z] [0-9][A-Z][0-9]"  # K1A 0B1
    r"|[0-9]{4} [A-Z]{2}(?![A-Za-z])"  # 1012 AB
    r"|(?:(?:D|A|CH|F|B|L|SE|DK|FI|NO|I|E)-)?[0-9]{3,6}(?:-[0-9]{2,4})?"  # 10115, 62704-1234, 00-001, 1000-205
    r"|[0-9]{3} [0-9]{2}|[0-9]{2}-[0-9]{3})(?![\w-]| [0-9])"  # 110 00
)
KEPT_WORDS = (
    frozenset(word.lower() for word in "|".join((KINDS, LOOSE_KINDS, FRENCH_KINDS, LOOSE_FRENCH_KINDS)).split("|"))
    | PREFIX_KINDS
    | SUFFIX_KINDS
    | CONNECTORS
    | frozenset(
        [
            "apt",
            "apartment",
            "suite",
            "ste",
            "unit",
            "floor",
            "box",
            "po",
            "apo",
            "fpo",
            "dpo",
            "psc",
            "north",
            "south",
            "east",
            "west",
        ]
    )
)

UNIT_WORDS = _set(
    "apt apartment suite ste unit floor fl room rm bldg building flat wohnung whg piso appt box psc cmr apo fpo dpo"
)
PHRASE_WORDS = _set(
    "live lived lives living reside resided resides residing located stay stays staying headquartered house home office"
    " offices restaurant shop station meet drop drops pick arrive arrived send sent return deliver delivered ship"
    " shipped move moved mail mailed side address addresses"
)
SIGNS = (
    frozenset(
        word.lower() for kinds in (KINDS, LOOSE_KINDS, FRENCH_KINDS, LOOSE_FRENCH_KINDS) for word in kinds.split("|")
    )
    | {word.strip("./") for word in PREFIX_KINDS | SUFFIX_KINDS}
    | UNIT_WORDS
    | PHRASE_WORDS
)
"""Without one of these words, or one that ends in `COMPOUND_ENDS`, within `SIGN_CHARACTERS` a number is a house number
only where a postcode or a country follows."""
SIGN_CHARACTERS = 160
