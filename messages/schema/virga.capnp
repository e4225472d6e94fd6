# What crosses a link. messages/types.hpp says the same as plain C++ values; messages/codec.hpp turns one into the other.
# Numbers never change; fields and union members are only appended. Enums are written as numbers of types.hpp and
# errors.hpp, so that one place names them. Positions are absolute and explicit, times are what remains or lasted.
@0xd1a5f3b27c9e4086;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("virga::wire");

struct Frame {
  protocolVersion @0 :UInt32;   # limits::protocol_version of the writer
  sessionHi @1 :UInt64;         # the session's 128 random bits, upper half
  sessionLo @2 :UInt64;         # and lower half
  epoch @3 :UInt32;             # placement of the session
  unit @4 :UInt32;              # round, group, layer block or image, as the strategy says
  incarnation @5 :UInt64;       # instance of the target role; 0: whichever runs now
  sequence @6 :UInt64;          # counts the messages of one connection and direction; slices of one message share it
  deadlineMs @7 :UInt32;        # milliseconds that remain; 0: none
  target @8 :UInt8;             # virga::role
  urgency @9 :UInt8;            # virga::priority

  payload :union {
    hello @10 :Hello;               # first frame of each side
    status @11 :Status;             # the roles changed
    ping @12 :Stamp;                # heartbeat
    pong @13 :Stamp;                # its echo
    credit @14 :Credit;             # bytes consumed
    generate @15 :Generate;         # answer a prompt
    openSession @16 :OpenSession;   # hold a session over the middle stages
    verify @17 :Verify;             # run hidden rows through them
    closeSession @18 :Void;         # forget the session
    cancel @19 :Void;               # stop
    opened @20 :Opened;             # answer to openSession
    verified @21 :Verified;         # answer to verify
    tokens @22 :Tokens;             # a piece of the answer
    outcome @23 :Outcome;           # how the session ended
    failure @24 :Failure;           # the role could not do it
    kvSlice @25 :KvSlice;           # keys and values of one layer
    sketch @26 :Sketch;             # an answer's outline
    padding @27 :Data;              # nothing; measures a link whose rate is not known
  }
}

# One slice of a matrix, row-major, little-endian. A whole matrix is the slice at 0 with all bytes.
struct Tensor {
  dtype @0 :UInt8;         # virga::dtype
  rows @1 :UInt32;         # of the whole matrix
  cols @2 :UInt32;         # of the whole matrix
  byteOffset @3 :UInt64;   # where data belongs
  totalBytes @4 :UInt64;   # of the whole matrix
  data @5 :Data;           # this slice's bytes
  crc32c @6 :UInt32;       # of data
}

struct RoleStatus {
  kind @0 :UInt8;           # virga::role
  incarnation @1 :UInt64;   # 0: not running now
}

struct Hello {
  protocol @0 :UInt32;            # protocol version
  site @1 :Text;                  # name of the sender's site
  node @2 :Text;                  # name of the sender's node
  modelDigest @3 :Text;           # root over per-tensor hashes; empty: no model is shared
  firstLayer @4 :UInt32;          # first decoder layer that the sender runs or leaves to the peer
  lastLayer @5 :UInt32;           # one past the last
  hidden @6 :UInt32;              # hidden size
  wire @7 :UInt8;                 # virga::dtype of tensors on this link
  roles @8 :List(RoleStatus);     # what the sender offers
}

struct Status {
  roles @0 :List(RoleStatus);   # all of them, as they are now
}

struct Stamp {
  stamp @0 :UInt64;   # the asker's clock; comes back unchanged
}

struct Credit {
  bytes @0 :UInt64;        # consumed since the last credit
  bulkBytes @2 :UInt64;    # of these, of bulk
  receivedUs @1 :UInt64;   # the consumer's clock at the last of them, microseconds: what came between two credits over
                           # what passed between them is the link's rate
}

struct Generate {
  how @0 :UInt8;               # virga::strategy
  requestId @1 :Text;          # the client's X-Request-Id
  prompt @2 :Text;             # rendered text
  maxTokens @3 :UInt32;        # new tokens at most
  temperature @4 :Float64;     # 0: greedy
  seed @5 :UInt64;             # of the Gumbel noise
  retired6 @6 :Bool;           # was: the prompt is the last message of a chat; ignored
  messages @7 :List(ChatMessage);  # a chat, rendered by the template of the model that answers; then `prompt` is empty
  stop @8 :List(Text);         # texts that end the answer
  topK @9 :UInt32;             # 0: all
  topP @10 :Float64 = 1;
  minP @11 :Float64;
  repetitionPenalty @12 :Float64 = 1;
  presencePenalty @13 :Float64;
  frequencyPenalty @14 :Float64;
  logitBias @15 :List(TokenBias);
  answered @16 :List(UInt32);      # tokens of the answer that the asker has; the answer goes on behind them
  logprobs @17 :Bool;              # tell each token's log-probability
  topLogprobs @18 :UInt32;         # and those of this many likeliest
}

struct ChatMessage {
  role @0 :Text;
  content @1 :Text;
}

struct TokenBias {
  id @0 :UInt32;
  bias @1 :Float64;            # added to the logit
}

struct OpenSession {
  modelDigest @0 :Text;        # the model the device holds
  firstLayer @1 :UInt32;       # first decoder layer that the device leaves to the cloud
  lastLayer @2 :UInt32;        # one past the last
  hidden @3 :UInt32;           # hidden size
  wire @4 :UInt8;              # virga::dtype of this session's rows
  promptTokens @5 :UInt32;     # length of the prompt
  maxTokens @6 :UInt32;        # new tokens at most
  requestId @7 :Text;          # the client's X-Request-Id, for logs
  upBytesPerS @8 :UInt64;      # the device's uplink; 0: not measured
}

struct Verify {
  base @0 :UInt64;   # absolute position of the first row
  want @1 :UInt8;    # virga::rows_wanted
  rows @2 :Tensor;   # [count, hidden]
  upBytesPerS @3 :UInt64;   # the device's uplink; 0: not measured
}

struct Opened {
  length @0 :UInt64;     # positions already held for the session
  kvTokens @1 :UInt64;   # positions that can be held
  chunkRows @2 :UInt32;  # positions of a prompt that are best sent at once; 0: no opinion
}

struct Verified {
  base @0 :UInt64;        # absolute position of the first row
  rows @1 :Tensor;        # [count, hidden]
  queueUs @2 :UInt64;     # microseconds waiting for a batch
  computeUs @3 :UInt64;   # microseconds inside the shard
  batchRows @4 :UInt32;   # rows of all sessions that ran together
  chunkRows @5 :UInt32;   # as in Opened
}

struct Tokens {
  position @0 :UInt64;        # of the first id, counted in the answer from 0
  ids @1 :List(UInt32);       # in order
  text @2 :Text;              # their text, where the session fills it
  logprobs @3 :List(Choice);  # one for each id where asked for, else none
  unverified @4 :Bool;        # drafts that no whole model has seen

  struct Choice {
    chosen @0 :Scored;        # the id itself
    top @1 :List(Scored);     # the likeliest ids, best first
  }

  struct Scored {
    id @0 :UInt32;
    logprob @1 :Float64;      # natural logarithm, of the model's own distribution
    text @2 :Data;            # its bytes; they need not be whole characters
  }
}

struct Place {
  node @0 :Text;     # a node that took part
  stages @1 :Text;   # what of the model it ran
}

struct Outcome {
  error @0 :UInt8;               # virga::ec; 0: answered
  errorText @1 :Text;            # one sentence
  errorDetail @2 :UInt64;        # as the code says
  how @3 :UInt8;                 # virga::strategy
  finish @4 :UInt8;              # virga::finish_reason
  places @5 :List(Place);        # who took part
  attempts @6 :UInt32;           # placements needed
  promptTokens @7 :UInt32;       # length of the prompt
  completionTokens @8 :UInt32;   # length of the answer
  roundTrips @9 :UInt32;         # across a link
  bytesUp @10 :UInt64;           # edge to cloud, whole frames
  bytesDown @11 :UInt64;         # cloud to edge, whole frames
  queueUs @12 :UInt64;           # microseconds waiting
  computeUs @13 :UInt64;         # microseconds inside shards
  linkUs @14 :UInt64;            # microseconds on links
  cloudUs @15 :UInt64;           # of computeUs, at the other end of the link
  draftUs @16 :UInt64;           # that the answer waited for drafts
  verdictUs @17 :UInt64;         # from the cloud's rows to the tokens
  drafts @18 :List(DraftRound);  # of hat, in order
  unverifiedTokens @19 :UInt32;  # the last ones of the answer: drafts that no whole model has seen

  struct DraftRound {
    drafted @0 :UInt16;          # tokens drafted
    accepted @1 :UInt16;         # the first of them, that stood
    source @2 :UInt8;            # virga::draft_source
  }
}

struct Failure {
  code @0 :UInt8;      # virga::ec, not 0
  detail @1 :UInt64;   # as the code says
  text @2 :Text;       # one sentence
}

# Keys and values of one layer, for migration and prefix caches. Sliced like every tensor.
struct KvSlice {
  stage @0 :UInt32;           # stage of the shard
  layer @1 :UInt32;           # decoder layer
  startPosition @2 :UInt64;   # absolute position of the first row
  tensor @3 :Tensor;          # [count, 2 * kv heads * head size], keys before values
}

# A sketch of an answer, to be expanded point by point (PICE).
struct Sketch {
  level @0 :UInt32;         # length class, 0 the shortest
  points @1 :List(Point);   # in the answer's order

  struct Point {
    text @0 :Text;             # the point itself
    expectedTokens @1 :UInt32; # length of its expansion, as predicted
  }
}
