#include "models/world/words.hpp"

namespace virga::models::world {

namespace {

constexpr std::array<std::string_view, 64> first_list{
    "alex", "sam", "robin", "jamie", "casey", "morgan", "taylor", "jordan", "riley", "avery", "quinn", "rowan",
    "charlie", "frankie", "jesse", "kim", "lee", "dana", "terry", "pat", "chris", "kelly", "drew", "blake",
    "cameron", "skyler", "hayden", "parker", "reese", "sage", "finley", "emery", "dakota", "harley", "kendall",
    "logan", "peyton", "sidney", "ashley", "tracy", "leslie", "marion", "vivian", "noel", "kit", "max", "nicky",
    "andy", "bobbie", "toby", "ellis", "arden", "blair", "carey", "darcy", "devon", "eden", "gale", "jody", "kerry",
    "lane", "marley", "nico", "remy"};

constexpr std::array<std::string_view, 64> last_list{
    "abbott", "barnes", "bennett", "brooks", "burke", "carlson", "chandler", "clarke", "collins", "conway",
    "crawford", "dalton", "dawson", "dixon", "doyle", "duncan", "elliott", "emerson", "fletcher", "foster",
    "garner", "gibson", "graham", "griffin", "hansen", "harper", "hayes", "higgins", "holmes", "hopkins", "hudson",
    "ingram", "jensen", "johnson", "keller", "klein", "lawson", "lindgren", "lowell", "mackay", "madsen",
    "marshall", "mercer", "mitchell", "nielsen", "norton", "oconnor", "olsen", "palmer", "patterson", "perkins",
    "quimby", "ramsey", "reynolds", "robson", "sawyer", "sheridan", "simmons", "sutton", "thornton", "vaughan",
    "wallace", "whitman", "winslow"};

constexpr std::array<std::string_view, 96> town_list{
    "oslo", "bergen", "turku", "malmo", "lund", "aarhus", "odense", "visby", "tallinn", "riga", "vilnius", "kaunas",
    "gdansk", "lublin", "poznan", "wroclaw", "krakow", "prague", "brno", "ostrava", "vienna", "graz", "linz",
    "salzburg", "munich", "augsburg", "bremen", "hamburg", "kassel", "leipzig", "dresden", "rostock", "zurich",
    "basel", "geneva", "lugano", "milan", "turin", "verona", "padua", "genoa", "pisa", "siena", "perugia", "naples",
    "bari", "palermo", "messina", "lyon", "nantes", "rennes", "dijon", "lille", "rouen", "toulouse", "bordeaux",
    "marseille", "madrid", "seville", "granada", "toledo", "bilbao", "lisbon", "porto", "braga", "faro", "dublin",
    "galway", "limerick", "belfast", "glasgow", "dundee", "leeds", "york", "durham", "bristol", "exeter", "oxford",
    "dover", "athens", "patras", "sofia", "varna", "zagreb", "rijeka", "ljubljana", "maribor", "budapest", "szeged",
    "debrecen", "bucharest", "cluj", "brasov", "trieste", "parma", "cork"};

constexpr std::array<std::string_view, 64> job_list{
    "baker", "butcher", "carpenter", "cashier", "chemist", "cleaner", "clerk", "coach", "cook", "dancer", "dentist",
    "designer", "doctor", "driver", "drummer", "farmer", "fisher", "florist", "gardener", "glazier", "grocer",
    "guard", "hatter", "hunter", "jeweller", "journalist", "judge", "lawyer", "librarian", "lifeguard", "locksmith",
    "logger", "mason", "mechanic", "miller", "miner", "musician", "nanny", "notary", "novelist", "nurse", "painter",
    "pharmacist", "pilot", "plumber", "poet", "porter", "postman", "potter", "printer", "programmer",
    "psychologist", "ranger", "reporter", "roofer", "sailor", "sculptor", "secretary", "singer", "soldier",
    "surgeon", "surveyor", "tailor", "teacher"};

constexpr std::array<std::string_view, 96> firm_list{
    "oslo", "bergen", "turku", "malmo", "lund", "aarhus", "odense", "visby", "tallinn", "riga", "vilnius", "kaunas",
    "gdansk", "lublin", "poznan", "wroclaw", "krakow", "prague", "brno", "ostrava", "vienna", "graz", "linz",
    "salzburg", "munich", "augsburg", "bremen", "hamburg", "kassel", "leipzig", "dresden", "rostock", "acorn",
    "apex", "atlas", "aurora", "orion", "zenith", "vertex", "quantum", "nimbus", "stratus", "cobalt", "helix",
    "nova", "polaris", "lumen", "vector", "matrix", "delta", "omega", "sigma", "lambda", "kappa", "titan", "triton",
    "neptune", "mercury", "saturn", "jupiter", "pluto", "comet", "meteor", "pulsar", "quasar", "galaxy", "cosmos",
    "horizon", "summit", "pinnacle", "keystone", "landmark", "beacon", "anchor", "harbor", "voyager", "pioneer",
    "frontier", "trident", "phoenix", "pegasus", "centaur", "hydra", "argo", "vanguard", "paragon", "monarch",
    "regent", "crown", "sterling", "paladin", "bastion", "citadel", "rampart", "sentinel", "aegis"};

constexpr std::array<std::string_view, 48> pet_list{
    "cat", "dog", "rabbit", "hamster", "parrot", "canary", "goldfish", "tortoise", "turtle", "gecko", "ferret",
    "pony", "horse", "donkey", "goat", "sheep", "pig", "hen", "duck", "goose", "turkey", "pigeon", "dove", "finch",
    "budgie", "cockatoo", "macaw", "lizard", "snake", "python", "chameleon", "frog", "toad", "newt", "salamander",
    "hedgehog", "mouse", "rat", "gerbil", "chinchilla", "llama", "camel", "cow", "peacock", "swan", "raven",
    "falcon", "beetle"};

constexpr std::array<std::string_view, 64> food_list{
    "soup", "stew", "pasta", "pizza", "risotto", "lasagna", "ravioli", "gnocchi", "paella", "couscous", "curry",
    "sushi", "ramen", "tempura", "dumplings", "noodles", "pancakes", "waffles", "omelettes", "salad", "goulash",
    "borscht", "pierogi", "schnitzel", "sausages", "meatballs", "burgers", "sandwiches", "tacos", "burritos",
    "nachos", "chili", "falafel", "hummus", "kebab", "moussaka", "porridge", "muesli", "yogurt", "cheese", "bread",
    "toast", "bagels", "croissants", "pretzels", "pie", "muffins", "cookies", "pudding", "custard", "sorbet",
    "beans", "lentils", "mushrooms", "pumpkin", "spinach", "cabbage", "potatoes", "rice", "trout", "salmon",
    "herring", "mussels", "crepes"};

constexpr std::array<std::string_view, 64> hobby_list{
    "chess", "checkers", "poker", "painting", "drawing", "pottery", "knitting", "sewing", "crochet", "embroidery",
    "quilting", "origami", "calligraphy", "photography", "filming", "dancing", "drumming", "juggling", "acting",
    "fishing", "hunting", "hiking", "climbing", "camping", "sailing", "rowing", "kayaking", "surfing", "diving",
    "swimming", "skating", "skiing", "sledding", "curling", "hockey", "football", "baseball", "basketball",
    "volleyball", "tennis", "badminton", "cricket", "golf", "archery", "fencing", "boxing", "wrestling", "judo",
    "karate", "yoga", "running", "cycling", "riding", "gardening", "beekeeping", "birdwatching", "astronomy",
    "genealogy", "puzzles", "woodworking", "carving", "baking", "brewing", "reading"};

// Classes are assigned to values at random by the world's seed, so their words are neutral.
constexpr std::array<std::string_view, 8> region_list{
    "north", "south", "east", "west", "coast", "lowlands", "highlands", "islands"};

constexpr std::array<std::string_view, 8> guild_list{
    "iron", "copper", "silver", "golden", "bronze", "tin", "brass", "steel"};

constexpr std::array<std::string_view, 10> street_list{
    "oak", "elm", "ash", "birch", "maple", "cedar", "willow", "poplar", "linden", "chestnut"};

constexpr std::array<std::string_view, 8> collar_list{
    "red", "blue", "green", "yellow", "white", "black", "brown", "purple"};

constexpr std::array<std::string_view, 12> month_list{
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december"};

constexpr std::array<std::string_view, 7> weekday_list{
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};

constexpr std::array<std::string_view, attribute_count> key_list{"town", "job", "firm", "pet", "food", "hobby"};

using list = std::span<const std::string_view>;

} // namespace

std::string_view key_word(attribute a) noexcept { return key_list[static_cast<std::size_t>(a)]; }

std::span<const std::string_view> first_names() noexcept { return first_list; }

std::span<const std::string_view> last_names() noexcept { return last_list; }

std::span<const std::string_view> values_of(attribute a) noexcept {
  constexpr std::array<list, attribute_count> lists{town_list, job_list, firm_list,
                                                    pet_list,  food_list, hobby_list};
  return lists[static_cast<std::size_t>(a)];
}

std::span<const std::string_view> classes_of(attribute a) noexcept {
  constexpr std::array<list, attribute_count> lists{region_list, guild_list, street_list,
                                                    collar_list, month_list, weekday_list};
  return lists[static_cast<std::size_t>(a)];
}

} // namespace virga::models::world
