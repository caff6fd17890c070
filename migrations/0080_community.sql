-- Word of mouth: reviews of what was bought, questions, answers, and the reasons for doubt.
create schema community;

create table community.review (
  cell smallint not null default 0,
  id uuid not null,
  product_id uuid not null,
  variant_id uuid not null,
  order_id uuid not null, -- the delivered line that gives the right to write
  line smallint not null,
  seller_id uuid not null,
  person_id uuid, -- null: erased
  author text,
  rating smallint not null check (rating between 1 and 5),
  title text not null,
  body text not null,
  pictures uuid[] not null default '{}',
  language text not null,
  incentive text, -- what the writer was given for it; shown with the review
  state text not null check (state in ('published', 'pending', 'rejected', 'withdrawn')),
  is_cleared boolean not null default false, -- a moderator has looked and let it stand
  note text, -- why it was rejected
  revision int not null default 1,
  helpful int not null default 0 check (helpful >= 0),
  bands bigint[] not null default '{}', -- fingerprint of the words: near-duplicates share some
  device bytea,
  network bytea,
  reply text,
  replied_at timestamptz,
  created_at timestamptz not null,
  edited_at timestamptz,
  published_at timestamptz,
  erased_at timestamptz,
  primary key (cell, id),
  check ((reply is null) = (replied_at is null))
) with (fillfactor = 85);
create unique index review_once on community.review (cell, product_id, person_id) where person_id is not null;
create index review_product_newest on community.review (cell, product_id, id desc) where state = 'published';
create index review_product_helpful on community.review (cell, product_id, helpful desc, id desc) where state = 'published';
create index review_person on community.review (cell, person_id, id desc) where person_id is not null;
create index review_queue on community.review (cell, id) where state = 'pending';
create index review_bands on community.review using gin (bands);
create index review_device on community.review (cell, device) where device is not null;
create index review_network on community.review (cell, network) where network is not null;
comment on column community.review.person_id is 'pii: who wrote the review; until erasure';
comment on column community.review.author is 'pii: the name the writer chose to be shown; until erasure';
comment on column community.review.title is 'pii: words of the writer, public; until erasure';
comment on column community.review.body is 'pii: words of the writer, public; until erasure';
comment on column community.review.device is 'pii: keyed hash of the device, to find invented reviews; 180 days';
comment on column community.review.network is 'pii: keyed hash of the network, to find invented reviews; 180 days';


-- What a review said before it was edited.
create table community.revision (
  cell smallint not null default 0,
  review_id uuid not null,
  revision int not null,
  rating smallint not null,
  title text not null,
  body text not null,
  at timestamptz not null, -- until then it stood
  primary key (cell, review_id, revision)
);
comment on column community.revision.body is 'pii: former words of the writer; until erasure';
comment on column community.revision.title is 'pii: former words of the writer; until erasure';

create table community.vote (
  cell smallint not null default 0,
  review_id uuid not null,
  person_id uuid not null,
  at timestamptz not null,
  primary key (cell, review_id, person_id)
);
create index vote_person on community.vote (cell, person_id);
comment on column community.vote.person_id is 'pii: one vote a person; until erasure';

create table community.question (
  cell smallint not null default 0,
  id uuid not null,
  product_id uuid not null,
  person_id uuid,
  author text,
  body text not null,
  state text not null check (state in ('published', 'pending', 'rejected', 'withdrawn')),
  is_cleared boolean not null default false,
  note text,
  created_at timestamptz not null,
  erased_at timestamptz,
  primary key (cell, id)
);
create index question_product on community.question (cell, product_id, id desc) where state = 'published';
create index question_queue on community.question (cell, id) where state = 'pending';
create index question_person on community.question (cell, person_id) where person_id is not null;
comment on column community.question.person_id is 'pii: who asked; until erasure';
comment on column community.question.author is 'pii: the name the asker chose; until erasure';
comment on column community.question.body is 'pii: words of the asker, public; until erasure';

create table community.answer (
  cell smallint not null default 0,
  id uuid not null,
  question_id uuid not null,
  product_id uuid not null,
  person_id uuid,
  author text,
  standing text not null check (standing in ('buyer', 'shop')),
  body text not null,
  state text not null check (state in ('published', 'pending', 'rejected', 'withdrawn')),
  is_cleared boolean not null default false,
  note text,
  created_at timestamptz not null,
  erased_at timestamptz,
  primary key (cell, id)
);
create index answer_question on community.answer (cell, question_id, id) where state = 'published';
create index answer_queue on community.answer (cell, id) where state = 'pending';
create index answer_person on community.answer (cell, person_id) where person_id is not null;
comment on column community.answer.person_id is 'pii: who answered; until erasure';
comment on column community.answer.author is 'pii: the name the answerer chose; until erasure';
comment on column community.answer.body is 'pii: words of the answerer, public; until erasure';

-- Why something is doubted: by a rule (ring, burst, device, network, duplicate, link, contact).
create table community.signal (
  cell smallint not null default 0,
  subject_id uuid not null, -- a review, a question or an answer
  kind text not null,
  weight real not null check (weight > 0 and weight <= 1),
  facts jsonb not null,
  at timestamptz not null,
  primary key (cell, subject_id, kind)
);

create table community.report (
  cell smallint not null default 0,
  subject_id uuid not null,
  person_id uuid not null,
  reason text not null check (reason in ('spam', 'insult', 'false', 'personal_data', 'illegal', 'other')),
  words text not null default '',
  at timestamptz not null,
  settled_at timestamptz,
  primary key (cell, subject_id, person_id)
);
create index report_open on community.report (cell, subject_id) where settled_at is null;
create index report_person on community.report (cell, person_id);
comment on column community.report.person_id is 'pii: one report a person; until erasure';
comment on column community.report.words is 'pii: words of the reporter; until erasure';

-- Counters of published ratings, by stars.
create table community.rating (
  cell smallint not null default 0,
  product_id uuid not null,
  stars int[] not null, -- how many of one, two, three, four and five
  primary key (cell, product_id),
  check (array_length(stars, 1) = 5 and 0 <= all (stars))
) with (fillfactor = 80);

-- The shop's own habit of giving stars, refreshed by the clock: what a product with few ratings is
-- taken to be like. One of each is added, so that a shop's first rating isn't its own yardstick.
create table community.prior (
  cell smallint primary key,
  shares double precision[] not null, -- of one to five stars; they sum to one
  ratings bigint not null,
  refreshed_at timestamptz not null,
  check (array_length(shares, 1) = 5)
);

-- Published: what a product is rated. With n_k ratings of k stars and the shop's shares h_k, the
-- expected share of k is (n_k + w h_k) / (n + w), w = 10 (the posterior mean of a Dirichlet prior
-- that weighs ten ratings). ``shrunk`` is its mean, ``score`` the lower end of its 90 % interval
-- (shrunk - 1.645 standard deviations): that is what to rank by. Ranking by the mean alone would
-- let one five-star rating stand above five hundred of 4.7 in a shop whose habit is 4.7.
create view community.v_rating as
  select r.product_id, n.ratings::bigint as ratings, n.total / n.ratings as mean,
         s.shrunk - 1.645 * sqrt(greatest(s.squares - s.shrunk * s.shrunk, 0) / (n.ratings + 11)) as score,
         s.shrunk, r.stars, r.cell
    from community.rating r
    left join community.prior p on p.cell = r.cell
    cross join lateral (
      select sum(k.count)::double precision as ratings,
             sum(k.count * k.star)::double precision as total
        from unnest(r.stars) with ordinality as k(count, star)) n
    cross join lateral (
      select sum(k.star * (k.count + 10 * h.share)) / (n.ratings + 10) as shrunk,
             sum(k.star * k.star * (k.count + 10 * h.share)) / (n.ratings + 10) as squares
        from unnest(r.stars) with ordinality as k(count, star)
        join unnest(coalesce(p.shares, array[0.2, 0.2, 0.2, 0.2, 0.2])) with ordinality as h(share, star)
             on h.star = k.star) s
   where n.ratings > 0;
