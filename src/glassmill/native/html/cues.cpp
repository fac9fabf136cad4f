#include "html/cues.hpp"

#include "html/phrases.hpp"

namespace glassmill::html {
namespace {

constexpr std::size_t kLooksAt = 160;  // bytes: labels and notes are short, and prose need not be read twice

constexpr PhraseGroup kGroups[] = {
    // a letter with an accent is two bytes, so "__"
    {"says_more",
     "lesen_sie_auch|lies_auch|lesen_sie_hier|mehr_zum_thema|mehr_zu_|mehr_dazu|mehr_lesen|das_k__nnte|"
     "auch_interessieren|auch_interessant|weitere_|siehe_auch|verwandte|beliebte_|relevantes|meistgelesen|"
     "passend_dazu|zum_weiterlesen|links_zum|read_more|read_also|read_next|also_read|see_also|more_from|more_on_|"
     "more_stor|related|recommended|you_may_also|you_might|most_read|most_popular|trending|up_next|"
     "further_reading|don_t_miss|lire_aussi|lire__galement|voir_aussi|sur_le_m__me|en_savoir_plus|leer_tambi|"
     "lea_tambi|te_puede_inter|m__s_informaci|mas_le|ver_tambi|noticias_relacion|leggi_anche|potrebbe_interess|"
     "altri_articoli|lees_ook|meer_over|czytaj|zobacz_te|zobacz_r|przeczytaj|lue_my|katso_my|l__s_ocks|l__s_mer|"
     "les_ogs|l__s_ogs|leia_tamb|veja_tamb|saiba_mais|vea_tambi|puedes_ver|le_puede|mire_|mira_|lesen_sie_|lest_auch|"
     "schon_gelesen|lust_auf_mehr|mehr_themen|weitere_themen|next_article|keep_reading|continue_reading|read__|read_"
     "full|full_story|empfohlen|neueste|aktuelle_ausgabe|noch_mehr_|alles___ber|previous_post|next_post|n__chster_|"
     "vorheriger_|"
     "recent_posts|neueste_|__hnliche_"},
    {"says_subscribe",
     "newsletter|subscri|sign_up|signup|abonn|suscr|inscri|iscriv|zapisz_si|prenumer|tilaa|anmelden|registrier|"
     "download_the_app|our_app|follow_us|folgen_sie|folge_uns|follow_@|auf_facebook|on_facebook|on_twitter|"
     "auf_twitter|instagram|whatsapp|telegram|per_mail|e_mail_adresse|email_address|your_email|jetzt_bestellen|"
     "probeabo|digitalabo|unterst__tz|donat|spende|support_our|become_a_member|become_a_supporter|patreon|for_the_"
     "latest|latest_news|follow_@|siga_|s__guenos|s__gue_|nete_|canal_de_|app_f__r|e_paper|im_abo|letter_to|"
     "subscriber"},
    {"says_share",
     "teilen|share_|sharen|gef__llt_mir|like_this|partager|compartir|condividi|udost|tweet|drucken|print_|merken|"
     "permalink|permanentlink|e_mail_this|pinterest|linkedin|bewerten|bewertung|rate_this|wird_geladen"},
    {"says_comment",
     "kommentar|comment|antwort|pingback|trackback|reply|replies|repl_ies|coment|commentaire|commenti|komentarz|"
     "diskussion|discuss|required_fields|erforderliche_felder|pflichtfelder|log_in|logged_in|einloggen|"
     "angemeldet|eingeloggt|nicht_ver__ffentlicht|not_be_published|leserbrief|letter_to_the_editor|letters_to|"
     "join_the_conv|responses"},
    {"says_credit",
     "foto_|fotos_|photo_|photos_|photograph|bild_|bilder_|titelbild|quelle|source_|credit|getty|shutterstock|"
     "unsplash|pixabay|istock|imago|_dpa|_afp|_reuters|_ap_|epa_|copyright|image_|images_|picture|abbildung|abb_|"
     "figure_|grafik|illustration|screenshot|fot_|zdj__|cr__dit|bildquelle|bild_via|youtube|fig__"},
    {"says_byline",
     "posted|published|publi__|publiziert|ver__ffentlicht|aktualisiert|updated|erstellt|stand__|__uhr|min_read|"
     "minute|lesezeit|lesedauer|autor|author|__ber_den|__ber_die_aut|about_the|written_by|geschrieben|von__|by__|"
     "par__|por__|redaktion|reporter|correspondent|kategorie|category|categor|tags_|tagged|schlagw|stichw|"
     "filed_under|abgelegt"},
    {"says_rights",
     "all_rights|alle_rechte|rechte_vorbehalten|copyright|reproduc|zastrze|prawem_autorskim|ohne_gew__hr|haftung|"
     "affiliate|disclaimer|cookie|datenschutz|privacy|impressum|imprint|agb_|terms_|nutzungsbeding|provision|"
     "commission|compensat"},
    {"says_advert",
     "anzeige|advertis|werbung|sponsor|publicit|reklam|partnerlink|promot|gutschein|angebot|jetzt_kaufen|buy_now|"
     "shop_now|hier_klicken|click_here|jetzt_|gratis|kostenlos|free_trial"},
};
static_assert(std::size(kGroups) == static_cast<std::size_t>(Cue::count));

}  // namespace

const char* name_of(Cue cue) { return kGroups[static_cast<int>(cue)].name; }

std::uint64_t cues_in(std::string_view text) {
    static const Phrases phrases(kGroups, '|');
    return phrases.find(text.substr(0, kLooksAt));
}

}  // namespace glassmill::html
